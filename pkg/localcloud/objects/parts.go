package objects

import (
	"crypto/md5" // an ETag is one
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"

	"gitlab.com/towline/towline/pkg/localcloud/store"
)

// upload is an object on its way in parts. Each part is a file
// <number>.<MD5> in the upload's folder, so that uploads survive a restart.
type upload struct {
	Key       string            `json:"key"`
	Meta      map[string]string `json:"meta,omitempty"`
	Initiated time.Time         `json:"initiated"`
}

const (
	uploadFile  = "upload.json"
	smallestPut = 5 << 20 // of every part but the last
)

type part struct {
	number   int
	etag     string // MD5, hexadecimal
	path     string
	size     int64
	modified time.Time
}

func (d backend) CreateMultipartUpload(bucket, key string, meta map[string]string) (gofakes3.UploadID, error) {
	b, err := d.s.bucket(bucket)
	if err != nil {
		return "", translate(err, bucket, key)
	}
	id := strings.ToLower(rand.Text())
	dir := b.path(uploadDir, id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", translate(err, bucket, key)
	}
	err = store.Write(filepath.Join(dir, uploadFile), upload{Key: key, Meta: kept(meta), Initiated: d.s.now().UTC()})
	return gofakes3.UploadID(id), translate(err, bucket, key)
}

// find gives the folder of an upload.
func (d backend) find(bucket, key string, id gofakes3.UploadID) (*bucket, string, upload, error) {
	var u upload
	b, err := d.s.bucket(bucket)
	if err != nil {
		return nil, "", u, translate(err, bucket, key)
	}
	if !filepath.IsLocal(string(id)) || strings.ContainsAny(string(id), `/\.`) {
		return nil, "", u, gofakes3.ErrNoSuchUpload
	}
	dir := b.path(uploadDir, string(id))
	err = store.Read(filepath.Join(dir, uploadFile), &u)
	if errors.Is(err, fs.ErrNotExist) || err == nil && u.Key != key {
		return nil, "", u, gofakes3.ErrNoSuchUpload
	}
	return b, dir, u, translate(err, bucket, key)
}

func (d backend) UploadPart(bucket, key string, id gofakes3.UploadID, number int, size int64, input io.Reader) (string, error) {
	_, dir, _, err := d.find(bucket, key, id)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "part-*")
	if err != nil {
		return "", translate(err, bucket, key)
	}
	sum := md5.New()
	_, err = io.Copy(io.MultiWriter(f, sum), exactly(input, size))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", translate(errors.Join(err, os.Remove(f.Name())), bucket, key)
	}
	etag := hex.EncodeToString(sum.Sum(nil))
	earlier, err := parts(dir)
	if err != nil {
		return "", translate(err, bucket, key)
	}
	path := filepath.Join(dir, fmt.Sprintf("%05d.%s", number, etag))
	if err := os.Rename(f.Name(), path); err != nil {
		return "", translate(errors.Join(err, os.Remove(f.Name())), bucket, key)
	}
	for _, p := range earlier {
		if p.number == number && p.path != path {
			_ = os.Remove(p.path) // a part that is sent again replaces the first
		}
	}
	return `"` + etag + `"`, nil
}

// parts lists the parts of an upload in the order of their numbers.
func parts(dir string) ([]part, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []part
	for _, entry := range entries {
		digits, etag, _ := strings.Cut(entry.Name(), ".")
		number, err := strconv.Atoi(digits)
		if err != nil {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, part{number, etag, filepath.Join(dir, entry.Name()), info.Size(), info.ModTime()})
	}
	return list, nil
}

func (d backend) ListMultipartUploads(bucket string, _ *gofakes3.UploadListMarker, prefix gofakes3.Prefix, limit int64) (*gofakes3.ListMultipartUploadsResult, error) {
	b, err := d.s.bucket(bucket)
	if err != nil {
		return nil, translate(err, bucket, "")
	}
	result := &gofakes3.ListMultipartUploadsResult{Bucket: bucket, Prefix: prefix.Prefix, MaxUploads: limit}
	entries, err := os.ReadDir(b.path(uploadDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, translate(err, bucket, "")
	}
	for _, entry := range entries {
		var u upload
		err := store.Read(b.path(uploadDir, entry.Name(), uploadFile), &u)
		if err != nil || !strings.HasPrefix(u.Key, prefix.Prefix) || int64(len(result.Uploads)) == limit {
			continue
		}
		result.Uploads = append(result.Uploads, gofakes3.ListMultipartUploadItem{
			Key: u.Key, UploadID: gofakes3.UploadID(entry.Name()), Initiated: gofakes3.NewContentTime(u.Initiated),
		})
	}
	slices.SortFunc(result.Uploads, func(a, b gofakes3.ListMultipartUploadItem) int { return strings.Compare(a.Key, b.Key) })
	return result, nil
}

func (d backend) ListParts(bucket, key string, id gofakes3.UploadID, marker int, limit int64) (*gofakes3.ListMultipartUploadPartsResult, error) {
	_, dir, _, err := d.find(bucket, key, id)
	if err != nil {
		return nil, err
	}
	list, err := parts(dir)
	if err != nil {
		return nil, translate(err, bucket, key)
	}
	result := &gofakes3.ListMultipartUploadPartsResult{Bucket: bucket, Key: key, UploadID: id, MaxParts: limit, PartNumberMarker: marker}
	for _, p := range list {
		if p.number <= marker {
			continue
		}
		if int64(len(result.Parts)) == limit {
			result.IsTruncated = true
			break
		}
		result.Parts = append(result.Parts, gofakes3.ListMultipartUploadPartItem{
			PartNumber: p.number, ETag: `"` + p.etag + `"`, Size: p.size, LastModified: gofakes3.NewContentTime(p.modified),
		})
		result.NextPartNumberMarker = p.number
	}
	return result, nil
}

func (d backend) AbortMultipartUpload(bucket, key string, id gofakes3.UploadID) error {
	_, dir, _, err := d.find(bucket, key, id)
	if err != nil {
		return err
	}
	return translate(os.RemoveAll(dir), bucket, key)
}

func (d backend) CompleteMultipartUpload(bucket, key string, id gofakes3.UploadID, want *gofakes3.CompleteMultipartUploadRequest) (gofakes3.VersionID, string, error) {
	b, dir, u, err := d.find(bucket, key, id)
	if err != nil {
		return "", "", err
	}
	have, err := parts(dir)
	if err != nil {
		return "", "", translate(err, bucket, key)
	}
	chosen, err := choose(have, want.Parts)
	if err != nil {
		return "", "", err
	}
	content := &joined{parts: chosen}
	defer content.close()
	e := entry{Key: key, Modified: d.s.now().UTC(), Meta: u.Meta, ETag: joinedETag(chosen)}
	if e, err = b.put(e, content, nil); err != nil {
		return "", "", translate(err, bucket, key)
	}
	_ = os.RemoveAll(dir) // the object is there; parts that stay harm nothing
	return "", `"` + e.etag() + `"`, nil
}

// choose holds the parts a client names against those that came.
func choose(have []part, want []gofakes3.CompletedPart) ([]part, error) {
	if len(want) == 0 {
		return nil, gofakes3.ErrMalformedXML
	}
	byNumber := map[int]part{}
	for _, p := range have {
		byNumber[p.number] = p
	}
	var chosen []part
	for i, w := range want {
		if i > 0 && w.PartNumber <= want[i-1].PartNumber {
			return nil, gofakes3.ErrInvalidPartOrder
		}
		p, found := byNumber[w.PartNumber]
		if !found || p.etag != strings.Trim(w.ETag, `"`) {
			return nil, gofakes3.ErrorMessagef(gofakes3.ErrInvalidPart, "part %d was not uploaded, or not with this ETag", w.PartNumber)
		}
		if i < len(want)-1 && p.size < smallestPut {
			return nil, refuse("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", gofakes3.ErrInvalidPart)
		}
		chosen = append(chosen, p)
	}
	return chosen, nil
}

// joinedETag is the MD5 of the parts' MD5s, and how many they are.
func joinedETag(list []part) string {
	sum := md5.New()
	for _, p := range list {
		raw, _ := hex.DecodeString(p.etag) // from hex.EncodeToString
		_, _ = sum.Write(raw)              // a hash takes everything
	}
	return hex.EncodeToString(sum.Sum(nil)) + "-" + strconv.Itoa(len(list))
}

// joined reads parts one after the other, with one file open at a time.
type joined struct {
	parts []part
	open  *os.File
}

func (j *joined) Read(p []byte) (int, error) {
	for {
		if j.open == nil {
			if len(j.parts) == 0 {
				return 0, io.EOF
			}
			f, err := os.Open(j.parts[0].path)
			if err != nil {
				return 0, err
			}
			j.open, j.parts = f, j.parts[1:]
		}
		n, err := j.open.Read(p)
		if err != io.EOF {
			return n, err
		}
		j.close()
	}
}

func (j *joined) close() {
	if j.open != nil {
		_ = j.open.Close() // it was only read
		j.open = nil
	}
}

// sweepUploads removes the uploads that nothing was added to since a time.
func (b *bucket) sweepUploads(stale time.Time) error {
	entries, err := os.ReadDir(b.path(uploadDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		info, infoErr := entry.Info()
		if infoErr == nil && info.ModTime().Before(stale) {
			err = errors.Join(err, os.RemoveAll(b.path(uploadDir, entry.Name())))
		}
	}
	return err
}
