package cloud

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"gitlab.com/towline/towline/pkg/fault"
)

const (
	partSize  = 512 << 20 // bytes; 10,000 parts of it are S3's largest object, 5 TB
	partLimit = 10_000
)

// put streams one object of at most partSize. The body can be read again for
// a retry, and is never held in memory.
func (c *Cloud) put(ctx context.Context, to address, body io.ReadSeeker, size int64, key string) error {
	input := &s3.PutObjectInput{Bucket: &to.bucket, Key: &to.key, Body: body, ContentLength: &size}
	if key != "" {
		input.ServerSideEncryption, input.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &key
	}
	_, err := c.s3().PutObject(ctx, input)
	return call{"upload " + to.String(), "s3:PutObject"}.fault(err)
}

// putParts streams a large file part by part. What was copied of one that
// cannot be finished is removed.
func (c *Cloud) putParts(ctx context.Context, to address, body io.ReaderAt, size int64, key string) error {
	if size > c.part*partLimit {
		return fault.Newf(fault.Repository, "upload %s: the file is larger than 5 TB", to).Hintf("split the file")
	}
	input := &s3.CreateMultipartUploadInput{Bucket: &to.bucket, Key: &to.key}
	if key != "" {
		input.ServerSideEncryption, input.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &key
	}
	request := call{"upload " + to.String(), "s3:PutObject"}
	started, err := c.s3().CreateMultipartUpload(ctx, input)
	if err != nil {
		return request.fault(err)
	}
	if err = c.parts(ctx, to, started.UploadId, body, size); err == nil {
		return nil
	}
	after, cancel := afterwards(ctx)
	defer cancel()
	_, left := c.s3().AbortMultipartUpload(after, &s3.AbortMultipartUploadInput{
		Bucket: &to.bucket, Key: &to.key, UploadId: started.UploadId,
	})
	if left != nil {
		c.log(fmt.Sprintf("upload %s: parts of it are left in the bucket", to))
	}
	return request.fault(err)
}

// parts copies all parts, one after the other, and puts them together.
func (c *Cloud) parts(ctx context.Context, to address, upload *string, body io.ReaderAt, size int64) error {
	var list []types.CompletedPart
	for offset := int64(0); offset < size; offset += c.part {
		number, length := aws.Int32(int32(len(list)+1)), min(c.part, size-offset)
		part, err := c.s3().UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &to.bucket, Key: &to.key, UploadId: upload, PartNumber: number,
			Body: io.NewSectionReader(body, offset, length), ContentLength: &length,
		})
		if err != nil {
			return err
		}
		list = append(list, types.CompletedPart{PartNumber: number, ETag: part.ETag,
			ChecksumCRC32: part.ChecksumCRC32, ChecksumCRC32C: part.ChecksumCRC32C, ChecksumCRC64NVME: part.ChecksumCRC64NVME})
	}
	_, err := c.s3().CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &to.bucket, Key: &to.key, UploadId: upload,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: list},
	})
	return err
}

// amount writes a number of bytes for a reader.
func amount(bytes int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1 << 30, "GB"}, {1 << 20, "MB"}, {1 << 10, "kB"}} {
		if bytes >= unit.size {
			return fmt.Sprintf("%.1f %s", float64(bytes)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%d B", bytes)
}
