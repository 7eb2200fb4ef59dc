package objects

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/johannesboyne/gofakes3"
)

// backend gives gofakes3 what it asks of a store.
type backend struct{ s *Store }

var (
	_ gofakes3.Backend          = backend{}
	_ gofakes3.MultipartBackend = backend{}
)

// reserved are the names of paths that belong to other services.
var reserved = []string{"v2", "endpoints"}

// refusal is an error whose code gofakes3 does not know; it gets the status of
// one that it does.
type refusal struct {
	gofakes3.ErrorResponse
	like gofakes3.ErrorCode
}

func (r *refusal) ErrorCode() gofakes3.ErrorCode { return r.like }

func refuse(code, message string, like gofakes3.ErrorCode) error {
	return &refusal{gofakes3.ErrorResponse{Code: gofakes3.ErrorCode(code), Message: message}, like}
}

// storageFull is answered with HTTP 507, which clients do not repeat.
const storageFull = "StorageFull"

// translate gives an error of the store the form of an S3 error.
func translate(err error, bucket, key string) error {
	var known gofakes3.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNoBucket):
		return gofakes3.BucketNotFound(bucket)
	case errors.Is(err, ErrNoObject):
		return gofakes3.KeyNotFound(key)
	case errors.Is(err, ErrKey):
		return gofakes3.ErrorMessage(gofakes3.ErrInvalidURI, ErrKey.Error())
	case errors.As(err, &known):
		return known
	case errors.Is(err, syscall.ENOSPC):
		return refuse(storageFull, "The local cloud's disk is full.", gofakes3.ErrInternal)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return gofakes3.ErrIncompleteBody
	}
	return gofakes3.ErrorMessage(gofakes3.ErrInternal, err.Error())
}

func (d backend) ListBuckets() ([]gofakes3.BucketInfo, error) {
	d.s.mu.RLock()
	defer d.s.mu.RUnlock()
	var list []gofakes3.BucketInfo
	for name, b := range d.s.buckets {
		list = append(list, gofakes3.BucketInfo{Name: name, CreationDate: gofakes3.NewContentTime(b.created)})
	}
	slices.SortFunc(list, func(a, b gofakes3.BucketInfo) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (d backend) ListBucket(name string, prefix *gofakes3.Prefix, p gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	b, err := d.s.bucket(name)
	if err != nil {
		return nil, translate(err, name, "")
	}
	q := query{after: p.Marker, max: int(p.MaxKeys)}
	if prefix != nil {
		q.prefix, q.delimiter = prefix.Prefix, prefix.Delimiter
	}
	list := gofakes3.NewObjectList()
	if q.max == 0 {
		return list, nil
	}
	found := b.page(q)
	for _, e := range found.entries {
		list.Add(&gofakes3.Content{
			Key:          e.Key,
			LastModified: gofakes3.NewContentTime(e.Modified),
			ETag:         `"` + e.etag() + `"`,
			Size:         e.Size,
		})
	}
	for _, common := range found.prefixes {
		list.AddPrefix(common)
	}
	list.IsTruncated, list.NextMarker = found.last != "", found.last
	return list, nil
}

func (d backend) CreateBucket(name string) error {
	if slices.Contains(reserved, name) {
		return gofakes3.ErrorMessage(gofakes3.ErrInvalidBucketName, "the local cloud keeps this name for another service")
	}
	return translate(d.s.MakeBucket(name), name, "")
}

func (d backend) BucketExists(name string) (bool, error) { return d.s.HasBucket(name), nil }

func (d backend) DeleteBucket(name string) error {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	b := d.s.buckets[name]
	if b == nil {
		return gofakes3.BucketNotFound(name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.entries) > 0 {
		return gofakes3.ResourceError(gofakes3.ErrBucketNotEmpty, name)
	}
	if err := os.Remove(b.path(bucketFile)); err != nil {
		return translate(err, name, "")
	}
	delete(d.s.buckets, name)
	return translate(errors.Join(b.close(), os.RemoveAll(b.dir)), name, "")
}

func (d backend) ForceDeleteBucket(string) error {
	return gofakes3.ErrorMessage(gofakes3.ErrNotImplemented, "the local cloud deletes empty buckets only")
}

func (d backend) GetObject(bucket, key string, want *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	b, err := d.s.bucket(bucket)
	if err != nil {
		return nil, translate(err, bucket, key)
	}
	e, f, err := b.open(key)
	if err != nil {
		return nil, translate(err, bucket, key)
	}
	object := e.object()
	object.Contents = f
	if object.Range, err = want.Range(e.Size); err != nil {
		return nil, translate(errors.Join(err, f.Close()), bucket, key)
	}
	if r := object.Range; r != nil {
		object.Contents = section{io.NewSectionReader(f, r.Start, r.Length), f}
	}
	return object, nil
}

func (d backend) HeadObject(bucket, key string) (*gofakes3.Object, error) {
	b, err := d.s.bucket(bucket)
	if err != nil {
		return nil, translate(err, bucket, key)
	}
	e, found := b.get(key)
	if !found {
		return nil, gofakes3.KeyNotFound(key)
	}
	return e.object(), nil
}

// The headers by which an object tells the wire what gofakes3 has no place for.
const (
	etagHeader     = "X-Towline-Etag"
	checksumHeader = "X-Amz-Checksum-Crc32"
	userPrefix     = "X-Amz-Meta-"
)

func (e entry) object() *gofakes3.Object {
	sum, _ := hex.DecodeString(e.MD5) // written by fill
	meta := map[string]string{
		"Content-Type":        "binary/octet-stream",
		"Last-Modified":       e.Modified.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"),
		etagHeader:            `"` + e.etag() + `"`,
		checksumHeader:        base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, e.CRC32)),
		"X-Amz-Checksum-Type": "FULL_OBJECT",
	}
	for name, value := range e.Meta {
		meta[name] = value
	}
	return &gofakes3.Object{Name: e.Key, Metadata: meta, Size: e.Size, Hash: sum, Contents: nothing{}}
}

func (d backend) DeleteObject(bucket, key string) (gofakes3.ObjectDeleteResult, error) {
	b, err := d.s.bucket(bucket)
	if err == nil {
		err = b.remove(key)
	}
	return gofakes3.ObjectDeleteResult{}, translate(err, bucket, key)
}

func (d backend) DeleteMulti(bucket string, keys ...string) (gofakes3.MultiDeleteResult, error) {
	var result gofakes3.MultiDeleteResult
	b, err := d.s.bucket(bucket)
	if err != nil {
		return result, translate(err, bucket, "")
	}
	for _, key := range keys {
		if err := b.remove(key); err != nil {
			result.Error = append(result.Error, gofakes3.ErrorResult{Key: key, Code: gofakes3.ErrInternal, Message: err.Error()})
			continue
		}
		result.Deleted = append(result.Deleted, gofakes3.ObjectID{Key: key})
	}
	return result, nil
}

func (d backend) PutObject(bucket, key string, meta map[string]string, input io.Reader, size int64, conditions *gofakes3.PutConditions) (gofakes3.PutObjectResult, error) {
	var result gofakes3.PutObjectResult
	b, err := d.s.bucket(bucket)
	if err != nil {
		return result, translate(err, bucket, key)
	}
	allow := func(old entry, found bool) error {
		if conditions == nil {
			return nil
		}
		sum, _ := hex.DecodeString(old.MD5) // written by fill
		return gofakes3.CheckPutConditions(conditions, &gofakes3.ConditionalObjectInfo{Exists: found, Hash: sum})
	}
	_, err = b.put(entry{Key: key, Modified: d.s.now().UTC(), Meta: kept(meta)}, exactly(input, size), allow)
	return result, translate(err, bucket, key)
}

func (d backend) CopyObject(fromBucket, fromKey, bucket, key string, meta map[string]string) (gofakes3.CopyObjectResult, error) {
	var result gofakes3.CopyObjectResult
	from, err := d.s.bucket(fromBucket)
	if err != nil {
		return result, translate(err, fromBucket, fromKey)
	}
	to, err := d.s.bucket(bucket)
	if err != nil {
		return result, translate(err, bucket, key)
	}
	_, f, err := from.open(fromKey)
	if err != nil {
		return result, translate(err, fromBucket, fromKey)
	}
	defer func() { _ = f.Close() }()
	e, err := to.put(entry{Key: key, Modified: d.s.now().UTC(), Meta: kept(meta)}, f, nil)
	return gofakes3.CopyObjectResult{ETag: `"` + e.etag() + `"`, LastModified: gofakes3.NewContentTime(e.Modified)}, translate(err, bucket, key)
}

// kept picks the headers that come back with the object.
func kept(meta map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range meta {
		switch {
		case strings.HasPrefix(name, userPrefix), name == "Content-Type", name == "Content-Disposition":
			out[name] = value
		case name == "Content-Encoding" && value != "":
			out[name] = value
		}
	}
	return out
}

// section is a range of a file that closes the file.
type section struct {
	io.Reader
	io.Closer
}

// nothing is a content that is not read.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
func (nothing) Close() error             { return nil }

// exactly reads a stream of a known size; one that ends early is an error.
func exactly(r io.Reader, size int64) io.Reader { return &sized{r: r, left: size} }

type sized struct {
	r    io.Reader
	left int64
}

func (s *sized) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.left -= int64(n)
	if err == io.EOF && s.left > 0 {
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}
