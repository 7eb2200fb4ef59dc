package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"gitlab.com/towline/towline/pkg/fault"
)

// BucketRegion asks for a bucket, and in which region it lies: "" if the
// service does not tell, as others than AWS do not. S3 tells it even of a bucket in
// another region, and of one that may not be listed.
func (c *Cloud) BucketRegion(ctx context.Context, bucket string) (string, error) {
	answer, err := c.s3().HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket})
	if err == nil {
		return aws.ToString(answer.BucketRegion), nil
	}
	told := ""
	if response := (*awshttp.ResponseError)(nil); errors.As(err, &response) && response.Response != nil {
		told = response.Response.Header.Get("X-Amz-Bucket-Region")
	}
	doing := "find bucket " + bucket
	switch statusOf(err) {
	case http.StatusNotFound:
		return told, fault.Newf(fault.Missing, "%s: there is none of the name", doing).
			Hintf("create the environment's bucket, or correct it in towline.yaml")
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusBadRequest:
		if told != "" && told != c.aws.Region {
			return told, nil
		}
	}
	return told, call{doing, "s3:ListBucket"}.fault(err)
}

// Trial is what came of writing, reading and removing an object.
type Trial struct{ Write, Read, Remove error }

// TryObject writes a small object to s3://…, reads it and removes it again,
// also after ctx has ended. What failed is not followed by the rest, but by
// the removal of what was written.
func (c *Cloud) TryObject(ctx context.Context, to, key string) Trial {
	at, err := object(to)
	if err != nil {
		return Trial{Write: err}
	}
	const body = "Written by towline doctor. It may be removed.\n"
	if err := c.put(ctx, at, strings.NewReader(body), int64(len(body)), key); err != nil {
		return Trial{Write: err}
	}
	trial := Trial{Read: c.readBack(ctx, at, body)}
	after, cancel := afterwards(ctx)
	defer cancel()
	_, err = c.s3().DeleteObject(after, &s3.DeleteObjectInput{Bucket: &at.bucket, Key: &at.key})
	trial.Remove = call{"remove " + to, "s3:DeleteObject"}.fault(err)
	return trial
}

// readBack holds what is there against what was written.
func (c *Cloud) readBack(ctx context.Context, at address, want string) error {
	request := call{"read " + at.String(), "s3:GetObject"}
	answer, err := c.s3().GetObject(ctx, &s3.GetObjectInput{Bucket: &at.bucket, Key: &at.key})
	if err != nil {
		return request.fault(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(io.LimitReader(answer.Body, int64(len(want))+1))
	if err == nil && string(got) != want {
		err = fmt.Errorf("found %d bytes other than those that were written", len(got))
	}
	return request.fault(err)
}
