package cloud

import (
	"context"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"gitlab.com/towline/towline/pkg/fault"
)

// Body is what is stored: it can be read again, from anywhere.
type Body interface {
	io.ReadSeeker
	io.ReaderAt
}

// Put stores a file at s3://….
func (c *Cloud) Put(ctx context.Context, to string, body Body, size int64) error {
	at, err := object(to)
	if err != nil {
		return err
	}
	if size > c.part {
		return c.putParts(ctx, at, body, size, "")
	}
	return c.put(ctx, at, body, size, "")
}

// Get reads a file from s3://…, and says how large it is.
func (c *Cloud) Get(ctx context.Context, from string, into io.Writer) (int64, error) {
	at, err := object(from)
	if err != nil {
		return 0, err
	}
	request := call{"read " + from, readS3}
	found, err := c.s3().GetObject(ctx, &s3.GetObjectInput{Bucket: &at.bucket, Key: &at.key})
	if notFound(err) {
		return 0, fault.Newf(fault.Missing, "read %s: there is no such object", from).
			Hintf("let the upstream job run towline handover --through s3 with the same prefix")
	}
	if err != nil {
		return 0, request.fault(err)
	}
	defer found.Body.Close()
	size, err := io.Copy(into, found.Body)
	return size, request.fault(err)
}
