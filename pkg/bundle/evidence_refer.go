package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"gitlab.com/towline/towline/pkg/evidence"
)

// referrer is an OCI manifest that carries one document about an image.
type referrer struct {
	SchemaVersion int64             `json:"schemaVersion"`
	MediaType     types.MediaType   `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        v1.Descriptor     `json:"config"`
	Layers        []v1.Descriptor   `json:"layers"`
	Subject       *v1.Descriptor    `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// emptyConfig is the configuration of a manifest that needs none.
const (
	emptyConfig     = "{}"
	emptyConfigType = types.MediaType("application/vnd.oci.empty.v1+json")
)

// Annotations by which sigstore's tools know what a bundle holds without
// reading it.
const (
	annotationContent   = "dev.sigstore.bundle.content"
	annotationPredicate = "dev.sigstore.bundle.predicateType"
)

// attachment is a document on its way to the registry.
type attachment struct {
	raw    []byte // the manifest
	digest v1.Hash
	blobs  []v1.Layer
}

// attach makes the manifest for a document about an image. The same document
// gives the same digest.
func attach(subject v1.Descriptor, kind string, text []byte) (attachment, error) {
	config := static.NewLayer([]byte(emptyConfig), emptyConfigType)
	layer := static.NewLayer(text, types.MediaType(kind))
	a := attachment{blobs: []v1.Layer{config, layer}}
	m := referrer{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: kind,
		Subject: &v1.Descriptor{MediaType: subject.MediaType, Size: subject.Size, Digest: subject.Digest},
	}
	if kind == evidence.TypeBundle {
		m.Annotations = map[string]string{annotationContent: "dsse-envelope", annotationPredicate: evidence.ProvenanceType}
	}
	var err error
	if m.Config, err = descriptor(config); err != nil {
		return attachment{}, err
	}
	document, err := descriptor(layer)
	if err != nil {
		return attachment{}, err
	}
	m.Layers = []v1.Descriptor{document}
	if a.raw, err = json.Marshal(m); err != nil {
		return attachment{}, err
	}
	a.digest, _, err = v1.SHA256(newReader(a.raw))
	return a, err
}

func descriptor(layer v1.Layer) (v1.Descriptor, error) {
	digest, err := layer.Digest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	size, err := layer.Size()
	if err != nil {
		return v1.Descriptor{}, err
	}
	mediaType, err := layer.MediaType()
	return v1.Descriptor{MediaType: mediaType, Size: size, Digest: digest}, err
}

// RawManifest and MediaType make an attachment something that is pushed.
func (a attachment) RawManifest() ([]byte, error) { return a.raw, nil }

// MediaType is that of every attachment.
func (a attachment) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// herald publishes documents beside one image.
type herald struct {
	reader
	pusher *remote.Pusher
	image  v1.Hash
}

// refer publishes an attachment, and makes sure that it is listed: where the
// registry keeps no list itself, a tag does, which two pushes at once may take
// from each other.
func (h herald) refer(ctx context.Context, a attachment) error {
	for _, blob := range a.blobs {
		if err := h.pusher.Upload(ctx, h.repository, blob); err != nil {
			return err
		}
	}
	for range 3 {
		// Put, as Push leaves alone a manifest that is there and not listed.
		if err := h.pusher.Put(ctx, h.repository.Digest(a.digest.String()), a); err != nil {
			return err
		}
		list, err := h.referrers(h.image)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(d v1.Descriptor) bool { return d.Digest == a.digest }) {
			return nil
		}
	}
	return errUnlisted
}

// errUnlisted says that a registry took a document and does not list it.
var errUnlisted = errors.New("the registry took it, but does not list it beside the image")

// refuses says whether the registry cannot hold such documents, or list them:
// an answer for good, not a breakdown.
func refuses(err error) bool {
	var answer *transport.Error
	if errors.Is(err, errUnlisted) {
		return true
	}
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusConflict,
		http.StatusUnauthorized, http.StatusForbidden: // the push itself was allowed
		return true
	}
	return refusesTag(answer)
}

func newReader(text []byte) io.Reader { return bytes.NewReader(text) }
