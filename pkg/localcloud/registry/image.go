package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ErrNoImage says that a reference names nothing here.
var ErrNoImage = errors.New("the registry has no such image")

// Image finds an image by tag or digest. Of an index it gives the image for
// this machine's platform, or the only one. The reference's host is not looked at.
func (r *Registry) Image(ref name.Reference) (v1.Image, error) {
	repository := ref.Context().RepositoryStr()
	r.mu.RLock()
	found, ok := r.refs[repository][ref.Identifier()]
	r.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("%s: %w", ref, ErrNoImage)
	}
	raw, err := r.manifest(found.Digest)
	if err != nil {
		return nil, err
	}
	if !isIndex(found.MediaType) {
		return r.image(raw, types.MediaType(found.MediaType))
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	desc, ok := choose(index.Manifests)
	if !ok {
		return nil, fmt.Errorf("%s has no image for linux/%s: %w", ref, runtime.GOARCH, ErrNoImage)
	}
	if raw, err = r.manifest(desc.Digest.String()); err != nil {
		return nil, err
	}
	return r.image(raw, desc.MediaType)
}

func choose(list []v1.Descriptor) (v1.Descriptor, bool) {
	var images []v1.Descriptor
	for _, desc := range list {
		if desc.MediaType.IsImage() && (desc.Platform == nil || desc.Platform.OS != "unknown") {
			images = append(images, desc)
		}
		if p := desc.Platform; p != nil && p.OS == "linux" && p.Architecture == runtime.GOARCH && desc.MediaType.IsImage() {
			return desc, true
		}
	}
	if len(images) == 1 {
		return images[0], true
	}
	return v1.Descriptor{}, false
}

func (r *Registry) image(raw []byte, mediaType types.MediaType) (v1.Image, error) {
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return partial.CompressedToImage(image{r, raw, m, mediaType})
}

// image reads an image from the blobs on disk.
type image struct {
	r         *Registry
	raw       []byte
	manifest  *v1.Manifest
	mediaType types.MediaType
}

func (i image) RawManifest() ([]byte, error)        { return i.raw, nil }
func (i image) MediaType() (types.MediaType, error) { return i.mediaType, nil }
func (i image) RawConfigFile() ([]byte, error) {
	return os.ReadFile(i.r.blobPath(i.manifest.Config.Digest))
}

func (i image) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, desc := range slices.Concat(i.manifest.Layers, []v1.Descriptor{i.manifest.Config}) {
		if desc.Digest == h {
			return layer{i.r, desc}, nil
		}
	}
	return nil, fmt.Errorf("layer %s: %w", h, ErrNoImage)
}

type layer struct {
	r    *Registry
	desc v1.Descriptor
}

func (l layer) Digest() (v1.Hash, error)            { return l.desc.Digest, nil }
func (l layer) Size() (int64, error)                { return l.desc.Size, nil }
func (l layer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }
func (l layer) Compressed() (io.ReadCloser, error)  { return os.Open(l.r.blobPath(l.desc.Digest)) }
