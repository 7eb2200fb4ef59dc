// Package registry is the image registry of the local cloud: the library's
// registry with blobs on disk, uploads that pass through to the disk, and
// manifests and tags that survive a restart.
//
// In come pushes; out go images, over HTTP and to the cloud itself. Nothing
// larger than a manifest is held in memory. It never pulls from elsewhere.
package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	gcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/localcloud/store"
)

// Registry holds images below one folder.
type Registry struct {
	dir  string
	next http.Handler

	mu    sync.RWMutex
	refs  references
	locks sync.Map // upload → *sync.Mutex, one request at a time
}

// references says which manifest a repository's tag or digest is.
type references map[string]map[string]reference

type reference struct {
	Digest    string `json:"digest"`
	MediaType string `json:"media_type"`
}

const (
	refsFile    = "references.json"
	blobDir     = "blobs"
	manifestDir = "manifests"
	uploadDir   = "uploads"
	maxManifest = 4 << 20
)

// Open reads the images of a folder, which is made if need be.
func Open(dir string) (*Registry, error) {
	if err := os.RemoveAll(filepath.Join(dir, uploadDir)); err != nil { // cut off by the last end
		return nil, err
	}
	for _, sub := range []string{blobDir + "/sha256", manifestDir, uploadDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	r := &Registry{dir: dir, refs: references{}, next: gcr.New(
		gcr.WithBlobHandler(gcr.NewDiskBlobHandler(filepath.Join(dir, blobDir))),
		gcr.WithReferrersSupport(true),
		gcr.Logger(log.New(io.Discard, "", 0)),
	)}
	err := store.Read(filepath.Join(dir, refsFile), &r.refs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return r, r.restore()
}

// restore gives the library the manifests of earlier runs: images before the
// indexes that name them.
func (r *Registry) restore() error {
	for _, indexes := range []bool{false, true} {
		for repository, refs := range r.refs {
			for name, ref := range refs {
				if isIndex(ref.MediaType) != indexes {
					continue
				}
				if err := r.replay(repository, name, ref); err != nil {
					return fmt.Errorf("restore image %s:%s: %w", repository, name, err)
				}
			}
		}
	}
	return nil
}

func (r *Registry) replay(repository, name string, ref reference) error {
	raw, err := r.manifest(ref.Digest)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPut, "/v2/"+repository+"/manifests/"+name, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", ref.MediaType)
	answer := &recorder{header: http.Header{}}
	r.next.ServeHTTP(answer, req)
	if answer.status != http.StatusCreated {
		return fmt.Errorf("status %d: %s", answer.status, answer.body.String())
	}
	return nil
}

// ServeHTTP speaks the distribution protocol.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p, ok := parse(req.URL.Path)
	switch {
	case !ok:
		r.next.ServeHTTP(w, req)
	case !validName().MatchString(p.repository):
		fail(w, http.StatusBadRequest, "NAME_INVALID", "a repository's name has lower-case letters, digits and single separators")
	case p.kind == "uploads":
		r.upload(w, req, p)
	case p.kind == "manifests" && req.Method == http.MethodPut:
		r.putManifest(w, req, p)
	case p.kind == "manifests" && req.Method == http.MethodDelete:
		r.deleteManifest(w, req, p)
	case p.kind == "blobs" && req.Method == http.MethodDelete:
		fail(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "the local cloud keeps blobs")
	default:
		r.next.ServeHTTP(w, req)
	}
}

// validName is the distribution specification's pattern of repository names.
var validName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
})

// target is what a path names.
type target struct {
	repository string
	kind       string // manifests, blobs, uploads
	name       string // tag, digest or upload
}

func parse(path string) (target, bool) {
	path, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return target{}, false
	}
	if repository, id, found := strings.Cut(path, "/blobs/uploads"); found {
		return target{repository, "uploads", strings.Trim(id, "/")}, repository != ""
	}
	for _, kind := range []string{"manifests", "blobs"} {
		if at := strings.LastIndex(path, "/"+kind+"/"); at > 0 {
			return target{path[:at], kind, path[at+len(kind)+2:]}, true
		}
	}
	return target{}, false
}

func (r *Registry) putManifest(w http.ResponseWriter, req *http.Request, p target) {
	raw, err := io.ReadAll(io.LimitReader(req.Body, maxManifest+1))
	if err != nil || len(raw) > maxManifest {
		fail(w, http.StatusBadRequest, "MANIFEST_INVALID", "the manifest ended early or is larger than 4 MiB")
		return
	}
	mediaType := req.Header.Get("Content-Type")
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		fail(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
		return
	}
	if strings.HasPrefix(p.name, "sha256:") && p.name != digest.String() {
		fail(w, http.StatusBadRequest, "DIGEST_INVALID", "the manifest's digest is "+digest.String())
		return
	}
	if missing := r.missing(raw, mediaType); missing != "" {
		fail(w, http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", "blob "+missing+" was not uploaded")
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(raw))
	answer := &recorder{header: w.Header()}
	r.next.ServeHTTP(answer, req)
	if answer.status == http.StatusCreated {
		if err := r.remember(p, digest.String(), mediaType, raw); err != nil {
			failDisk(w, err)
			return
		}
		w.Header().Set("Location", "/v2/"+p.repository+"/manifests/"+digest.String())
	}
	answer.copyTo(w)
}

// remember saves a manifest, and then what names it.
func (r *Registry) remember(p target, digest, mediaType string, raw []byte) error {
	if err := writeFile(r.manifestPath(digest), raw); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.refs.clone()
	if next[p.repository] == nil {
		next[p.repository] = map[string]reference{}
	}
	next[p.repository][digest] = reference{digest, mediaType}
	next[p.repository][p.name] = reference{digest, mediaType}
	if err := store.Write(filepath.Join(r.dir, refsFile), next); err != nil {
		return err
	}
	r.refs = next
	return nil
}

func (r *Registry) deleteManifest(w http.ResponseWriter, req *http.Request, p target) {
	answer := &recorder{header: w.Header()}
	r.next.ServeHTTP(answer, req)
	if answer.status == http.StatusAccepted {
		r.mu.Lock()
		next := r.refs.clone()
		delete(next[p.repository], p.name)
		err := store.Write(filepath.Join(r.dir, refsFile), next)
		r.refs = next
		r.mu.Unlock()
		if err != nil {
			failDisk(w, err)
			return
		}
	}
	answer.copyTo(w)
}

func (refs references) clone() references {
	next := make(references, len(refs))
	for repository, names := range refs {
		next[repository] = make(map[string]reference, len(names))
		for name, ref := range names {
			next[repository][name] = ref
		}
	}
	return next
}

// missing is the first blob of an image manifest that is not there, or "".
func (r *Registry) missing(raw []byte, mediaType string) string {
	if isIndex(mediaType) {
		return "" // the library looks for the manifests of an index
	}
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return ""
	}
	for _, desc := range append(slices.Clone(m.Layers), m.Config) {
		if desc.MediaType.IsDistributable() && !r.hasBlob(desc.Digest) {
			return desc.Digest.String()
		}
	}
	return ""
}

func (r *Registry) hasBlob(h v1.Hash) bool {
	info, err := os.Stat(r.blobPath(h))
	return err == nil && info.Mode().IsRegular()
}

func (r *Registry) blobPath(h v1.Hash) string {
	return filepath.Join(r.dir, blobDir, filepath.Base(h.Algorithm), filepath.Base(h.Hex))
}

func (r *Registry) manifestPath(digest string) string {
	return filepath.Join(r.dir, manifestDir, strings.TrimPrefix(digest, "sha256:"))
}

func (r *Registry) manifest(digest string) ([]byte, error) {
	return os.ReadFile(r.manifestPath(digest))
}
