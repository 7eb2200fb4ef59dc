package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"gitlab.com/towline/towline/pkg/fault"
)

// image is one image of a layout, as the library wants one. Layers that the
// layout does not hold are made from their files, or read from a registry.
type image struct {
	*layout
	desc                   v1.Descriptor
	notes                  notes
	rawManifest, rawConfig []byte
	manifest               v1.Manifest
	config                 v1.ConfigFile
	layers                 []v1.Layer
}

var _ v1.Image = (*image)(nil)

// openParcel reads a layout whose layers are counted as they are read.
func (b *Bundler) openParcel(ctx context.Context, folder string) (*parcel, *tally, error) {
	p, err := readParcel(folder)
	if err != nil {
		return nil, nil, fault.Newf(fault.Missing, "read image %s: %w", folder, err).Hintf("run: towline package")
	}
	sent := newTally(p.layers(), b.o.Progress)
	first := 0
	for _, img := range p.images {
		for i, d := range img.manifest.Layers {
			own := countedLayer{d: d, diff: img.config.RootFS.DiffIDs[i], sent: sent, i: first + i}
			layer, err := b.layer(ctx, img, own)
			if err != nil {
				return nil, nil, err
			}
			img.layers = append(img.layers, layer)
		}
		first += len(img.manifest.Layers)
	}
	return p, sent, nil
}

// openImage reads a layout with one image.
func (b *Bundler) openImage(ctx context.Context, folder string) (*image, error) {
	p, _, err := b.openParcel(ctx, folder)
	if err != nil {
		return nil, err
	}
	return p.images[0], nil
}

// image reads the documents of an image.
func (l *layout) image(desc v1.Descriptor) (*image, error) {
	img := &image{layout: l, desc: desc, notes: readNotes(l.folder)}
	var err error
	if img.rawManifest, err = l.read(desc); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(img.rawManifest, &img.manifest); err != nil {
		return nil, err
	}
	if img.rawConfig, err = l.read(img.manifest.Config); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(img.rawConfig, &img.config); err != nil {
		return nil, err
	}
	if n := len(img.config.RootFS.DiffIDs); n != len(img.manifest.Layers) {
		return nil, fmt.Errorf("its configuration names %d layers, its manifest %d", n, len(img.manifest.Layers))
	}
	return img, nil
}

// layer is one of the layout's files, or is made from the files of its weights,
// or lies in a registry, where it is mounted if both repositories are in one.
func (b *Bundler) layer(ctx context.Context, img *image, own countedLayer) (v1.Layer, error) {
	file := layoutBlob(img.folder, own.d.Digest)
	if sized(file, own.d.Size) {
		own.open = func() (io.ReadCloser, error) { return os.Open(file) }
		return own, nil
	}
	if !img.holds(own.d) {
		return nil, fault.Newf(fault.Missing, "read image %s: layer %s is not whole", img.folder, own.d.Digest).
			Hintf("run: towline package")
	}
	noted, _ := img.notes.of(own.d.Digest)
	if files, ok := noted.files(img.folder); ok {
		source := stored{items: programItems(files)}
		own.open = func() (io.ReadCloser, error) { return source.open(ctx), nil }
		return own, nil
	}
	if noted.Registry != "" {
		return b.registryLayer(ctx, own, noted.Registry, "")
	}
	labels := img.config.Config.Labels
	return b.registryLayer(ctx, own, labels[labelBaseName], labels[labelBaseDigest])
}

// registryLayer is a layer that is read from a registry if it must be; the
// digest is that of an image which has it, if that is known.
func (b *Bundler) registryLayer(ctx context.Context, own countedLayer, from, digest string) (v1.Layer, error) {
	reference, err := b.reference(from)
	if err != nil {
		return nil, fault.Newf(fault.Repository, "read layer %s: %w", own.d.Digest, err)
	}
	repository := reference.Context()
	if digest == "" {
		digest = own.d.Digest.String()
	}
	own.open = func() (io.ReadCloser, error) {
		layer, err := remote.Layer(repository.Digest(own.d.Digest.String()), b.remote(ctx)...)
		if err != nil {
			return nil, err
		}
		content, err := layer.Compressed()
		return content, layerFault(from, own.d.Digest, err)
	}
	return &remote.MountableLayer{Layer: own, Reference: repository.Digest(digest)}, nil
}

// layerFault tells a layer that is gone from a registry that does not answer.
func layerFault(from string, digest v1.Hash, err error) error {
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return &lostLayer{digest: digest, err: fault.Newf(fault.Missing, "read layer %s: %s has lost it", digest, from).
			Hintf("run: towline package, which builds it anew, and push again")}
	}
	return baseFault(from, err)
}

// lostLayer is the error of a layer that its registry has no more.
type lostLayer struct {
	digest v1.Hash
	err    error
}

func (l *lostLayer) Error() string { return l.err.Error() }
func (l *lostLayer) Unwrap() error { return l.err }

func (img *image) Layers() ([]v1.Layer, error)         { return img.layers, nil }
func (img *image) MediaType() (types.MediaType, error) { return img.desc.MediaType, nil }
func (img *image) Size() (int64, error)                { return img.desc.Size, nil }
func (img *image) Digest() (v1.Hash, error)            { return img.desc.Digest, nil }
func (img *image) Manifest() (*v1.Manifest, error)     { return &img.manifest, nil }
func (img *image) RawManifest() ([]byte, error)        { return img.rawManifest, nil }
func (img *image) ConfigName() (v1.Hash, error)        { return img.manifest.Config.Digest, nil }
func (img *image) ConfigFile() (*v1.ConfigFile, error) { return &img.config, nil }
func (img *image) RawConfigFile() ([]byte, error)      { return img.rawConfig, nil }
func (img *image) LayerByDiffID(h v1.Hash) (v1.Layer, error) {
	digest, err := partial.DiffIDToBlob(img, h)
	if err != nil {
		return nil, err
	}
	return img.LayerByDigest(digest)
}

func (img *image) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	if h == img.manifest.Config.Digest {
		return partial.ConfigLayer(img)
	}
	for i, d := range img.manifest.Layers {
		if d.Digest == h {
			return img.layers[i], nil
		}
	}
	return nil, fmt.Errorf("no layer %s in the image", h)
}

// hasBase says whether the image is built on one in a registry, where layers may be left.
func (img *image) hasBase() bool {
	labels := img.config.Config.Labels
	return labels[labelBaseName] != "" && labels[labelBaseDigest] != ""
}

func (img *image) platform() string {
	p := v1.Platform{OS: img.config.OS, Architecture: img.config.Architecture, Variant: img.config.Variant}
	return p.String()
}

// pinnedBase is the base by digest, as far as the image tells.
func (img *image) pinnedBase() string {
	from, digest := img.config.Config.Labels[labelBaseName], img.config.Config.Labels[labelBaseDigest]
	if digest == "" {
		return Scratch
	}
	if reference, err := name.ParseReference(from); from != "" && err == nil {
		return reference.Context().Name() + "@" + digest
	}
	return strings.TrimSuffix(ociPrefix, ":") + "@" + digest
}

// size is the bytes of all blobs.
func (img *image) size() int64 {
	total := img.desc.Size + img.manifest.Config.Size
	for _, d := range img.manifest.Layers {
		total += d.Size
	}
	return total
}
