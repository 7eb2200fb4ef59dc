package registry

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/renameio/v2"
)

// upload takes blobs: at once, in one stream, or in pieces. The library would
// keep them in memory until they are whole.
func (r *Registry) upload(w http.ResponseWriter, req *http.Request, p target) {
	switch {
	case req.Method == http.MethodPost && p.name == "":
		r.beginUpload(w, req, p)
		return
	case p.name == "" || !plainName(p.name):
		fail(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "there is no such upload")
		return
	}
	lock, _ := r.locks.LoadOrStore(p.name, &sync.Mutex{})
	mutex := lock.(*sync.Mutex)
	mutex.Lock()
	defer mutex.Unlock()
	switch req.Method {
	case http.MethodPatch:
		r.continueUpload(w, req, p)
	case http.MethodPut:
		r.finishUpload(w, req, p)
	case http.MethodGet:
		r.uploadStatus(w, p, http.StatusNoContent)
	case http.MethodDelete:
		r.forget(p)
		w.WriteHeader(http.StatusNoContent)
	default:
		fail(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "uploads know POST, PATCH, PUT, GET and DELETE")
	}
}

func (r *Registry) beginUpload(w http.ResponseWriter, req *http.Request, p target) {
	if h, err := v1.NewHash(req.URL.Query().Get("mount")); err == nil && r.hasBlob(h) {
		created(w, p, h)
		return
	}
	p.name = strings.ToLower(rand.Text())
	f, err := os.OpenFile(r.uploadPath(p), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		failDisk(w, err)
		return
	}
	if err := f.Close(); err != nil {
		failDisk(w, err)
		return
	}
	if req.URL.Query().Has("digest") {
		r.finishUpload(w, req, p)
		return
	}
	r.uploadStatus(w, p, http.StatusAccepted)
}

func (r *Registry) continueUpload(w http.ResponseWriter, req *http.Request, p target) {
	info, err := os.Stat(r.uploadPath(p))
	if err != nil {
		fail(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "there is no such upload")
		return
	}
	if header := req.Header.Get("Content-Range"); header != "" {
		var start, end int64
		if n, _ := fmt.Sscanf(header, "%d-%d", &start, &end); n != 2 || start != info.Size() {
			fail(w, http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", fmt.Sprintf("the upload goes on at byte %d", info.Size()))
			return
		}
	}
	if err := appendTo(r.uploadPath(p), info.Size(), req.Body); err != nil {
		failDisk(w, err)
		return
	}
	r.uploadStatus(w, p, http.StatusAccepted)
}

// appendTo adds to a file, and cuts off again what did not come whole.
func appendTo(path string, size int64, content io.Reader) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content); err != nil {
		return errors.Join(err, f.Truncate(size), f.Close())
	}
	return f.Close()
}

func (r *Registry) finishUpload(w http.ResponseWriter, req *http.Request, p target) {
	want, err := v1.NewHash(req.URL.Query().Get("digest"))
	if err != nil || want.Algorithm != "sha256" {
		fail(w, http.StatusBadRequest, "DIGEST_INVALID", "digest must be sha256:<64 hexadecimal digits>")
		return
	}
	info, err := os.Stat(r.uploadPath(p))
	if err != nil {
		fail(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "there is no such upload")
		return
	}
	if err := appendTo(r.uploadPath(p), info.Size(), req.Body); err != nil {
		failDisk(w, err)
		return
	}
	got, err := digestOf(r.uploadPath(p))
	if err != nil {
		failDisk(w, err)
		return
	}
	if got != want.Hex {
		r.forget(p)
		fail(w, http.StatusBadRequest, "DIGEST_INVALID", "the blob's digest is sha256:"+got)
		return
	}
	if err := os.Rename(r.uploadPath(p), r.blobPath(want)); err != nil {
		failDisk(w, err)
		return
	}
	r.locks.Delete(p.name)
	created(w, p, want)
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func (r *Registry) uploadStatus(w http.ResponseWriter, p target, status int) {
	info, err := os.Stat(r.uploadPath(p))
	if errors.Is(err, fs.ErrNotExist) {
		fail(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "there is no such upload")
		return
	}
	if err != nil {
		failDisk(w, err)
		return
	}
	w.Header().Set("Location", "/v2/"+p.repository+"/blobs/uploads/"+p.name)
	w.Header().Set("Docker-Upload-Uuid", p.name)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(info.Size()-1, 0)))
	w.WriteHeader(status)
}

func (r *Registry) forget(p target) {
	_ = os.Remove(r.uploadPath(p)) // what stays is removed at the next start
	r.locks.Delete(p.name)
}

func (r *Registry) uploadPath(p target) string { return filepath.Join(r.dir, uploadDir, p.name) }

func plainName(name string) bool {
	return strings.IndexFunc(name, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') }) < 0
}

func created(w http.ResponseWriter, p target, h v1.Hash) {
	w.Header().Set("Location", "/v2/"+p.repository+"/blobs/"+h.String())
	w.Header().Set("Docker-Content-Digest", h.String())
	w.WriteHeader(http.StatusCreated)
}

func isIndex(mediaType string) bool { return types.MediaType(mediaType).IsIndex() }

func writeFile(path string, content []byte) error { return renameio.WriteFile(path, content, 0o644) }

// fail answers in the form of the distribution protocol.
func fail(w http.ResponseWriter, status int, code, message string) {
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	body, err := json.Marshal(map[string][]problem{"errors": {{code, message}}})
	if err != nil {
		body = []byte(`{"errors":[{"code":"UNKNOWN"}]}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is not told
}

func failDisk(w http.ResponseWriter, err error) {
	if errors.Is(err, syscall.ENOSPC) {
		fail(w, http.StatusInsufficientStorage, "UNKNOWN", "the local cloud's disk is full")
		return
	}
	fail(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
}

// recorder keeps an answer until it is known whether it holds.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *recorder) Header() http.Header { return a.header }

func (a *recorder) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *recorder) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

func (a *recorder) copyTo(w http.ResponseWriter) {
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // a client that went away is not told
}
