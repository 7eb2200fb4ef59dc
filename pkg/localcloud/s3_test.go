package localcloud_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/localcloud"
)

func (c *cloud) put(t *testing.T, key, content string) {
	t.Helper()
	_, err := c.s3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(localcloud.Bucket), Key: aws.String(key), Body: strings.NewReader(content),
	})
	if err != nil {
		t.Fatalf("PutObject(%s) = %v", key, err)
	}
}

func (c *cloud) get(t *testing.T, key string) string {
	t.Helper()
	out, err := c.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(localcloud.Bucket), Key: aws.String(key)})
	if err != nil {
		t.Fatalf("GetObject(%s) = %v", key, err)
	}
	return read(t, out.Body)
}

// code is the error code that AWS gave.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

func TestObjectsComeBack(t *testing.T) {
	c := start(t, localcloud.Options{})
	for _, key := range []string{"a", "a/b", "a//b", "../x", "ü ö+%20&?#", "trailing/", strings.Repeat("k", 1024)} {
		c.put(t, key, "content of "+key)
	}
	c.put(t, "a", "again")
	c.put(t, "empty", "")
	dir := c.dir
	c.close(t)
	c = start(t, localcloud.Options{Dir: dir})
	for key, want := range map[string]string{"a": "again", "a/b": "content of a/b", "a//b": "content of a//b", "../x": "content of ../x", "ü ö+%20&?#": "content of ü ö+%20&?#", "trailing/": "content of trailing/", "empty": ""} {
		if got := c.get(t, key); got != want {
			t.Errorf("GetObject(%q) = %q, want %q", key, got, want)
		}
	}
	head, err := c.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(localcloud.Bucket), Key: aws.String("a"), ChecksumMode: types.ChecksumModeEnabled})
	if err != nil || aws.ToInt64(head.ContentLength) != 5 || aws.ToString(head.ETag) == "" || aws.ToString(head.ChecksumCRC32) == "" {
		t.Errorf("HeadObject = %+v, %v, want length, ETag and checksum", head, err)
	}
}

func TestMissingObjects(t *testing.T) {
	c := start(t, localcloud.Options{})
	_, err := c.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(localcloud.Bucket), Key: aws.String("none")})
	var noKey *types.NoSuchKey
	if !errors.As(err, &noKey) {
		t.Errorf("GetObject of a missing key = %v, want NoSuchKey", err)
	}
	_, err = c.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("no-such-bucket"), Key: aws.String("none")})
	if code(err) != "NoSuchBucket" {
		t.Errorf("GetObject of a missing bucket = %v, want NoSuchBucket", err)
	}
	for _, bucket := range []string{"endpoints", "v2"} {
		_, err := c.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)})
		if code(err) != "InvalidBucketName" {
			t.Errorf("CreateBucket(%s) = %v, want InvalidBucketName", bucket, err)
		}
	}
	_, err = c.s3.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{Bucket: aws.String(localcloud.Bucket), Key: aws.String("a"), Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}})
	if code(err) != "NotImplemented" {
		t.Errorf("PutObjectTagging = %v, want NotImplemented", err)
	}
}

func TestListing(t *testing.T) {
	c := start(t, localcloud.Options{})
	for i := range 25 {
		c.put(t, fmt.Sprintf("data/%02d/part", i), "x")
	}
	c.put(t, "data/file", "x")
	c.put(t, "other", "x")
	for _, tt := range []struct {
		name  string
		in    s3.ListObjectsV2Input
		want  string
		pages int
	}{
		{"all keys in order", s3.ListObjectsV2Input{Prefix: aws.String("data/0"), MaxKeys: aws.Int32(4)}, "00/part 01/part 02/part 03/part 04/part 05/part 06/part 07/part 08/part 09/part", 3},
		{"folders", s3.ListObjectsV2Input{Prefix: aws.String("data/"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(10)}, "00/ 01/ 02/ 03/ 04/ 05/ 06/ 07/ 08/ 09/ 10/ 11/ 12/ 13/ 14/ 15/ 16/ 17/ 18/ 19/ 20/ 21/ 22/ 23/ 24/ file", 3},
		{"half a name", s3.ListObjectsV2Input{Prefix: aws.String("data/2"), Delimiter: aws.String("/")}, "20/ 21/ 22/ 23/ 24/", 1},
		{"after a key", s3.ListObjectsV2Input{Prefix: aws.String("data/"), StartAfter: aws.String("data/23/part")}, "24/part file", 1},
		{"nothing", s3.ListObjectsV2Input{Prefix: aws.String("none/")}, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.Bucket = aws.String(localcloud.Bucket)
			var got []string
			pages := s3.NewListObjectsV2Paginator(c.s3, &tt.in)
			count := 0
			for ; pages.HasMorePages(); count++ {
				page, err := pages.NextPage(t.Context())
				if err != nil {
					t.Fatalf("ListObjectsV2 = %v", err)
				}
				for _, p := range page.CommonPrefixes {
					got = append(got, strings.TrimPrefix(aws.ToString(p.Prefix), "data/"))
				}
				for _, o := range page.Contents {
					got = append(got, strings.TrimPrefix(aws.ToString(o.Key), "data/"))
				}
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" || count != tt.pages {
				t.Errorf("ListObjectsV2 gave %d pages, want %d; keys (-want +got):\n%s", count, tt.pages, diff)
			}
		})
	}
}

func TestUploadInParts(t *testing.T) {
	c := start(t, localcloud.Options{})
	bucket, key := aws.String(localcloud.Bucket), aws.String("large")
	content := make([]byte, 11<<20)
	_, _ = rand.Read(content)
	upload, err := c.s3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key, ContentType: aws.String("text/x")})
	if err != nil {
		t.Fatalf("CreateMultipartUpload = %v", err)
	}
	dir := c.dir
	c.close(t)
	c = start(t, localcloud.Options{Dir: dir}) // an upload goes on after a restart
	var parts []types.CompletedPart
	for i, from := 1, 0; from < len(content); i, from = i+1, from+5<<20 {
		part, err := c.s3.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: bucket, Key: key, UploadId: upload.UploadId, PartNumber: aws.Int32(int32(i)),
			Body: bytes.NewReader(content[from:min(from+5<<20, len(content))]),
		})
		if err != nil {
			t.Fatalf("UploadPart(%d) = %v", i, err)
		}
		parts = append(parts, types.CompletedPart{ETag: part.ETag, PartNumber: aws.Int32(int32(i))})
	}
	done, err := c.s3.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: bucket, Key: key, UploadId: upload.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil || !strings.HasSuffix(aws.ToString(done.ETag), `-3"`) {
		t.Fatalf("CompleteMultipartUpload = %+v, %v, want an ETag of 3 parts", done, err)
	}
	if got := c.get(t, "large"); got != string(content) {
		t.Error("the object is not what was uploaded in parts")
	}
	part, err := c.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key, Range: aws.String("bytes=5242870-5242889")})
	if err != nil {
		t.Fatalf("GetObject of a range = %v", err)
	}
	if got := read(t, part.Body); got != string(content[5242870:5242890]) || aws.ToString(part.ContentRange) != fmt.Sprintf("bytes 5242870-5242889/%d", len(content)) {
		t.Errorf("GetObject of a range gave %d bytes, %s", len(got), aws.ToString(part.ContentRange))
	}
	if aws.ToString(part.ETag) != aws.ToString(done.ETag) {
		t.Errorf("GetObject gave ETag %s, want %s", aws.ToString(part.ETag), aws.ToString(done.ETag))
	}
	c.copyInParts(t, "large", content)
}

// copyInParts copies an object as awscli copies large ones.
func (c *cloud) copyInParts(t *testing.T, from string, content []byte) {
	t.Helper()
	bucket, key := aws.String(localcloud.Bucket), aws.String("copy")
	upload, err := c.s3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatalf("CreateMultipartUpload = %v", err)
	}
	var parts []types.CompletedPart
	for i, r := range []string{"bytes=0-6291455", fmt.Sprintf("bytes=6291456-%d", len(content)-1)} {
		part, err := c.s3.UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{
			Bucket: bucket, Key: key, UploadId: upload.UploadId, PartNumber: aws.Int32(int32(i + 1)),
			CopySource: aws.String(localcloud.Bucket + "/" + from), CopySourceRange: aws.String(r),
		})
		if err != nil {
			t.Fatalf("UploadPartCopy = %v", err)
		}
		parts = append(parts, types.CompletedPart{ETag: part.CopyPartResult.ETag, PartNumber: aws.Int32(int32(i + 1))})
	}
	_, err = c.s3.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: bucket, Key: key, UploadId: upload.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		t.Fatalf("CompleteMultipartUpload of a copy = %v", err)
	}
	if got := c.get(t, "copy"); got != string(content) {
		t.Error("the copy is not the object")
	}
}

func TestAnObjectIsWrittenAsAWholeOrNotAtAll(t *testing.T) {
	c := start(t, localcloud.Options{})
	c.put(t, "kept", "before")
	_, err := c.s3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(localcloud.Bucket), Key: aws.String("kept"), Body: strings.NewReader("after"), ChecksumCRC32: aws.String("AAAAAA=="),
	})
	if code(err) != "BadDigest" {
		t.Errorf("PutObject with a wrong checksum = %v, want BadDigest", err)
	}
	_, err = c.s3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(localcloud.Bucket), Key: aws.String("kept"), Body: strings.NewReader("after"), IfNoneMatch: aws.String("*"),
	})
	if code(err) != "PreconditionFailed" {
		t.Errorf("PutObject with If-None-Match = %v, want PreconditionFailed", err)
	}
	_, err = c.s3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(localcloud.Bucket), Key: aws.String("kept"), Body: io.LimitReader(strings.NewReader("after"), 3), ContentLength: aws.Int64(5),
	})
	if err == nil {
		t.Error("PutObject of a body that ends early = nil, want an error")
	}
	if got := c.get(t, "kept"); got != "before" {
		t.Errorf("GetObject = %q, want what was there before", got)
	}
}

func TestCopyAndDelete(t *testing.T) {
	c := start(t, localcloud.Options{})
	c.put(t, "from here", "content")
	_, err := c.s3.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String(localcloud.Bucket), Key: aws.String("to"), CopySource: aws.String(localcloud.Bucket + "/from%20here")})
	if err != nil || c.get(t, "to") != "content" {
		t.Errorf("CopyObject = %v", err)
	}
	_, err = c.s3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String(localcloud.Bucket)})
	if code(err) != "BucketNotEmpty" {
		t.Errorf("DeleteBucket = %v, want BucketNotEmpty", err)
	}
	_, err = c.s3.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: aws.String(localcloud.Bucket), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("to")}, {Key: aws.String("from here")}, {Key: aws.String("none")}}}})
	if err != nil {
		t.Errorf("DeleteObjects = %v", err)
	}
	if _, err := c.s3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String(localcloud.Bucket)}); err != nil {
		t.Errorf("DeleteBucket of an empty bucket = %v", err)
	}
}

func TestBodiesInChunks(t *testing.T) {
	c := start(t, localcloud.Options{})
	signature := ";chunk-signature=" + strings.Repeat("0", 64)
	for _, tt := range []struct {
		name, kind, body, trailer string
		status                    int
	}{
		{"unsigned with a checksum behind", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n", "x-amz-checksum-crc32", 200},
		{"signed", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "b" + signature + "\r\nhello world\r\n0" + signature + "\r\n\r\n", "", 200},
		{"signed with a checksum behind", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "b" + signature + "\r\nhello world\r\n0" + signature + "\r\nx-amz-checksum-crc64nvme:jSnVw/bqjr4=\r\nx-amz-trailer-signature:00\r\n\r\n", "x-amz-checksum-crc64nvme", 200},
		{"a wrong checksum behind", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "x-amz-checksum-crc32", 400},
		{"a promised checksum that is missing", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "b\r\nhello world\r\n0\r\n\r\n", "x-amz-checksum-sha256", 400},
		{"a chunk that ends early", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "b\r\nhello", "", 400},
		{"a chunk without a size", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "zz\r\nhello world\r\n0\r\n\r\n", "", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, c.URL()+"/"+localcloud.Bucket+"/chunks", strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = http.Header{"X-Amz-Content-Sha256": {tt.kind}, "X-Amz-Decoded-Content-Length": {"11"}, "Content-Encoding": {"aws-chunked"}, "X-Amz-Trailer": {tt.trailer}}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if body := read(t, resp.Body); resp.StatusCode != tt.status {
				t.Fatalf("PUT = %d %s, want %d", resp.StatusCode, body, tt.status)
			}
			if tt.status == 200 && c.get(t, "chunks") != "hello world" {
				t.Errorf("GetObject = %q", c.get(t, "chunks"))
			}
		})
	}
}

func TestWhatComesBackWithAnObject(t *testing.T) {
	c := start(t, localcloud.Options{})
	_, err := c.s3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(localcloud.Bucket), Key: aws.String("a"), Body: strings.NewReader("x"),
		ContentType: aws.String("text/csv"), Metadata: map[string]string{"identity": "7f"},
	})
	if err != nil {
		t.Fatalf("PutObject = %v", err)
	}
	out, err := c.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(localcloud.Bucket), Key: aws.String("a")})
	if err != nil || aws.ToString(out.ContentType) != "text/csv" || out.Metadata["identity"] != "7f" || len(out.Metadata) != 1 {
		t.Errorf("GetObject = %+v, %v, want the type and the metadata", out, err)
	}
	list, err := c.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(localcloud.Bucket), Prefix: aws.String("none")})
	if err != nil || list.KeyCount == nil {
		t.Errorf("ListObjectsV2 of nothing = %+v, %v, want a KeyCount of 0", list, err)
	}
}
