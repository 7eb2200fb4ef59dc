package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"gitlab.com/towline/towline/pkg/fault"
)

// shelf is where an image and what refers to it are read, as they lie there:
// nothing of it was checked. What is not there is an error of fs.ErrNotExist.
type shelf struct {
	partial   bool                                 // layers may be left out
	root      func() (reference string, err error) // tag or digest of the image
	manifest  func(reference string) (document, error)
	blob      func(v1.Hash) (io.ReadCloser, error)
	referrers func(v1.Hash) ([]v1.Descriptor, error)
}

// document is a manifest, of at most maxDocument bytes.
type document struct {
	text      []byte
	mediaType types.MediaType
}

// maxReferrers is how many documents beside an image are looked at.
const maxReferrers = 200

// shelf opens a reference: HOST/REPO@sha256:…, HOST/REPO:TAG or oci:DIR.
func (b *Bundler) shelf(ctx context.Context, ref string) (shelf, error) {
	if folder, ok := strings.CutPrefix(ref, ociPrefix); ok {
		return layoutShelf(folder), nil
	}
	reference, err := b.reference(ref)
	if err != nil {
		return shelf{}, fault.Newf(fault.Usage, "verify: %w", err).Hintf("wanted HOST/REPOSITORY@sha256:…, HOST/REPOSITORY:TAG or oci:FOLDER")
	}
	r, err := b.reader(ctx, reference.Context())
	if err != nil {
		return shelf{}, err
	}
	s := r.shelf()
	s.root = func() (string, error) { return reference.Identifier(), nil }
	return s, nil
}

// reader reads one repository over HTTP.
type reader struct {
	ctx        context.Context //nolint:containedctx // it lives as long as one command's call
	repository name.Repository
	client     *http.Client
}

// reader signs in for reading.
func (b *Bundler) reader(ctx context.Context, repository name.Repository) (reader, error) {
	login, err := authn.Resolve(ctx, keychain{b.o.Credentials}, repository)
	if err != nil {
		return reader{}, err
	}
	named := transport.NewUserAgent(b.transport, "towline")
	signed, err := transport.NewWithContext(ctx, repository.Registry, login, named, []string{repository.Scope(transport.PullScope)})
	if err != nil {
		return reader{}, registryFault("read "+repository.Name(), err)
	}
	return reader{ctx: ctx, repository: repository, client: &http.Client{Transport: signed}}, nil
}

func (r reader) shelf() shelf {
	return shelf{manifest: r.manifest, blob: r.blob, referrers: r.referrers}
}

// get asks for a document or a blob. The caller closes the answer's body.
func (r reader) get(address string, accept ...string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(r.ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if len(accept) > 0 {
		request.Header.Set("Accept", strings.Join(accept, ","))
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return nil, registryFault("read "+r.repository.Name(), err)
	}
	if answer.StatusCode == http.StatusNotFound {
		_ = answer.Body.Close()
		return nil, fs.ErrNotExist
	}
	if err := transport.CheckError(answer, http.StatusOK); err != nil {
		_ = answer.Body.Close()
		return nil, registryFault("read "+r.repository.Name(), err)
	}
	return answer, nil
}

// address is that of something in the repository.
func (r reader) address(kind, identifier string) string {
	u := url.URL{Scheme: r.repository.Scheme(), Host: r.repository.RegistryStr(), Path: "/v2/" + r.repository.RepositoryStr() + "/" + kind + "/" + identifier}
	return u.String()
}

// manifestTypes are what a manifest may be.
var manifestTypes = []string{
	string(types.DockerManifestSchema2), string(types.OCIManifestSchema1),
	string(types.OCIImageIndex), string(types.DockerManifestList),
}

func (r reader) manifest(reference string) (document, error) {
	answer, err := r.get(r.address("manifests", reference), manifestTypes...)
	if err != nil {
		return document{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := readDocument(answer.Body)
	kind, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
	return document{text: text, mediaType: types.MediaType(kind)}, err
}

func (r reader) blob(digest v1.Hash) (io.ReadCloser, error) {
	answer, err := r.get(r.address("blobs", digest.String()))
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// referrers asks the registry what refers to a digest, and where it cannot be
// asked, the tag that takes the place of the question.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
func (r reader) referrers(digest v1.Hash) ([]v1.Descriptor, error) {
	var list []v1.Descriptor
	page := r.address("referrers", digest.String())
	for page != "" {
		found, next, err := r.referrersPage(page)
		if errors.Is(err, errNoReferrers) && list == nil {
			return r.tagged(digest)
		}
		if err != nil {
			return nil, err
		}
		if list = append(list, found...); len(list) > maxReferrers {
			return nil, fault.Newf(fault.Repository, "read %s: more than %d documents refer to %s", r.repository.Name(), maxReferrers, digest).
				Hintf("remove from the registry what nobody needs")
		}
		page = next
	}
	return list, nil
}

// errNoReferrers says that a registry cannot be asked what refers to a digest.
var errNoReferrers = errors.New("the registry has no referrers API")

func (r reader) referrersPage(address string) (list []v1.Descriptor, next string, err error) {
	answer, err := r.get(address, string(types.OCIImageIndex))
	var refused *transport.Error
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", errNoReferrers
	case errors.As(err, &refused) && refused.StatusCode < 500 && refused.StatusCode != http.StatusUnauthorized &&
		refused.StatusCode != http.StatusForbidden && refused.StatusCode != http.StatusTooManyRequests:
		return nil, "", errNoReferrers
	case err != nil:
		return nil, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	if kind, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";"); kind != string(types.OCIImageIndex) {
		return nil, "", errNoReferrers
	}
	text, err := readDocument(answer.Body)
	if err != nil {
		return nil, "", err
	}
	list, err = listed(text)
	return list, nextPage(answer), err
}

// nextPage is where the answer's Link header leads, on the same registry only.
func nextPage(answer *http.Response) string {
	link := answer.Header.Get("Link")
	start, rest, ok := strings.Cut(link, ">")
	if !ok || !strings.Contains(rest, `rel="next"`) {
		return ""
	}
	next, err := answer.Request.URL.Parse(strings.TrimPrefix(strings.TrimSpace(start), "<"))
	if err != nil || next.Host != answer.Request.URL.Host || next.Scheme != answer.Request.URL.Scheme {
		return ""
	}
	return next.String()
}

func (r reader) tagged(digest v1.Hash) ([]v1.Descriptor, error) {
	index, err := r.manifest(strings.Replace(digest.String(), ":", "-", 1))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return listed(index.text)
}

func listed(text []byte) ([]v1.Descriptor, error) {
	var index v1.IndexManifest
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fault.Newf(fault.Remote, "read the list of referrers: %w", err)
	}
	if len(index.Manifests) > maxReferrers {
		return nil, fault.Newf(fault.Repository, "read the list of referrers: %d, wanted at most %d", len(index.Manifests), maxReferrers)
	}
	return index.Manifests, nil
}

func readDocument(from io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxDocument+1))
	if err == nil && len(text) > maxDocument {
		return nil, fault.Newf(fault.Repository, "read a document: it has more than %d bytes", maxDocument)
	}
	return text, err
}

// layoutShelf reads an OCI layout. What refers to its image lies beside it in
// the layout's index.
func layoutShelf(folder string) shelf {
	open := func(digest v1.Hash) (io.ReadCloser, error) { return os.Open(layoutBlob(folder, digest)) }
	s := shelf{partial: true, blob: open}
	index := func() (v1.IndexManifest, error) {
		var index v1.IndexManifest
		text, err := os.ReadFile(folder + "/index.json")
		if err == nil {
			err = json.Unmarshal(text, &index)
		}
		if err != nil {
			return index, fault.Newf(fault.Missing, "read image %s%s: %w", ociPrefix, folder, err).Hintf("wanted the folder of an OCI layout")
		}
		return index, nil
	}
	s.root = func() (string, error) {
		found, err := index()
		if err != nil {
			return "", err
		}
		var images []v1.Descriptor
		for _, d := range found.Manifests {
			if d.ArtifactType == "" {
				images = append(images, d)
			}
		}
		if len(images) != 1 {
			return "", fault.Newf(fault.Repository, "read image %s%s: index.json names %d images, wanted one", ociPrefix, folder, len(images))
		}
		return images[0].Digest.String(), nil
	}
	s.manifest = func(reference string) (document, error) {
		digest, err := v1.NewHash(reference)
		if err != nil {
			return document{}, err
		}
		content, err := open(digest)
		if err != nil {
			return document{}, err
		}
		defer func() { _ = content.Close() }()
		text, err := readDocument(content)
		return document{text: text, mediaType: kindOf(text)}, err
	}
	s.referrers = func(v1.Hash) ([]v1.Descriptor, error) {
		found, err := index()
		var list []v1.Descriptor
		for _, d := range found.Manifests {
			if d.ArtifactType != "" {
				list = append(list, d)
			}
		}
		return list, err
	}
	return s
}

// kindOf is what a manifest calls itself.
func kindOf(text []byte) types.MediaType {
	var kind struct {
		MediaType types.MediaType `json:"mediaType"`
	}
	if err := json.Unmarshal(text, &kind); err != nil || kind.MediaType == "" {
		return types.OCIManifestSchema1
	}
	return kind.MediaType
}

// check holds the text of a document against the digest it is known by.
func check(text []byte, digest v1.Hash, size int64) error {
	sum := newMeter()
	_, _ = sum.Write(text)
	switch {
	case size >= 0 && int64(len(text)) != size:
		return fmt.Errorf("%w: it has %d bytes, wanted %d", errTampered, len(text), size)
	case sum.digest() != digest:
		return fmt.Errorf("%w: its content is %s", errTampered, sum.digest())
	}
	return nil
}

// errTampered says that content is not what its digest says.
var errTampered = errors.New("not what it should be")
