package cloud

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"gitlab.com/towline/towline/pkg/fault"
)

const (
	recordLimit = 8 << 20 // bytes; a record is a few kilobytes

	// Without the right to list, S3 answers 403 for what is not there.
	readS3 = "s3:GetObject and s3:ListBucket"
)

// address is a place in S3.
type address struct{ bucket, key string }

func (a address) String() string { return "s3://" + a.bucket + "/" + a.key }

// parse reads s3://bucket/key.
func parse(uri string) (address, error) {
	rest, ok := strings.CutPrefix(uri, "s3://")
	bucket, key, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" {
		return address{}, fault.Newf(fault.Repository, "read the address %q: wanted s3://bucket/key", uri).
			Hintf("correct the address in towline.yaml")
	}
	return address{bucket, key}, nil
}

// object is parse for an address that must name one object.
func object(uri string) (address, error) {
	at, err := parse(uri)
	if err == nil && (at.key == "" || strings.HasSuffix(at.key, "/")) {
		err = fault.Newf(fault.Repository, "read the address %q: wanted an object, found a folder", uri).
			Hintf("correct the address in towline.yaml")
	}
	return at, err
}

// SaveRecord writes a release record to s3://….
func (c *Cloud) SaveRecord(ctx context.Context, to string, body []byte) error {
	at, err := object(to)
	if err != nil {
		return err
	}
	_, err = c.s3().PutObject(ctx, &s3.PutObjectInput{
		Bucket: &at.bucket, Key: &at.key,
		Body: bytes.NewReader(body), ContentLength: aws.Int64(int64(len(body))),
		ContentType: aws.String("application/json"),
	})
	return call{"save the record to " + to, "s3:PutObject"}.fault(err)
}

// LoadRecord reads a release record, and says whether there is one.
func (c *Cloud) LoadRecord(ctx context.Context, from string) ([]byte, bool, error) {
	at, err := object(from)
	if err != nil {
		return nil, false, err
	}
	request := call{"read the record " + from, readS3}
	found, err := c.s3().GetObject(ctx, &s3.GetObjectInput{Bucket: &at.bucket, Key: &at.key})
	if notFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, request.fault(err)
	}
	defer found.Body.Close()
	body, err := io.ReadAll(io.LimitReader(found.Body, recordLimit+1))
	if err != nil {
		return nil, false, request.fault(err)
	}
	if len(body) > recordLimit {
		return nil, false, fault.Newf(fault.Remote, "read the record %s: it is larger than %d MB", from, recordLimit>>20).
			Hintf("remove it: a release record has a few kilobytes")
	}
	return body, true, nil
}

// exists says whether there is such an object.
func (c *Cloud) exists(ctx context.Context, at address) (bool, error) {
	_, err := c.s3().HeadObject(ctx, &s3.HeadObjectInput{Bucket: &at.bucket, Key: &at.key})
	if notFound(err) {
		return false, nil
	}
	return err == nil, call{"look for " + at.String(), readS3}.fault(err)
}
