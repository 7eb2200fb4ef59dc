package bundle

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"gitlab.com/towline/towline/pkg/fault"
)

// image is the image of a layout, as the library wants one. Layers that the
// layout lacks are those of the base, which are read from its registry.
type image struct {
	*layout
	rawManifest, rawConfig []byte
	manifest               v1.Manifest
	config                 v1.ConfigFile
	layers                 []v1.Layer
	sent                   *tally
}

var _ v1.Image = (*image)(nil)

func (b *Bundler) openImage(ctx context.Context, folder string) (*image, error) {
	img, err := readImage(folder)
	if err != nil {
		return nil, fault.Newf(fault.Missing, "read image %s: %w", folder, err).Hintf("run: towline package")
	}
	img.sent = newTally(img.manifest.Layers, b.o.Progress)
	for i, d := range img.manifest.Layers {
		layer, err := b.layer(ctx, img, i, d)
		if err != nil {
			return nil, err
		}
		img.layers = append(img.layers, layer)
	}
	return img, nil
}

func readImage(folder string) (*image, error) {
	l, err := openLayout(folder)
	if err != nil {
		return nil, err
	}
	img := &image{layout: l}
	if img.rawManifest, err = l.read(l.root); err != nil {
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

// layer is one of the layout's files, or a layer of the base, which is mounted
// where both repositories are in one registry.
func (b *Bundler) layer(ctx context.Context, img *image, i int, d v1.Descriptor) (v1.Layer, error) {
	own := countedLayer{d: d, diff: img.config.RootFS.DiffIDs[i], sent: img.sent, i: i}
	file := layoutBlob(img.folder, d.Digest)
	if sized(file, d.Size) {
		own.open = func() (io.ReadCloser, error) { return os.Open(file) }
		return own, nil
	}
	from, digest := img.config.Config.Labels[labelBaseName], img.config.Config.Labels[labelBaseDigest]
	if _, err := os.Stat(file); err == nil || !img.hasBase() {
		return nil, fault.Newf(fault.Missing, "read image %s: layer %s is not whole", img.folder, d.Digest).
			Hintf("run: towline package")
	}
	reference, err := b.reference(from)
	if err != nil {
		return nil, fault.Newf(fault.Repository, "read base image: %w", err)
	}
	repository := reference.Context()
	own.open = func() (io.ReadCloser, error) {
		layer, err := remote.Layer(repository.Digest(d.Digest.String()), b.remote(ctx)...)
		if err != nil {
			return nil, err
		}
		content, err := layer.Compressed()
		return content, baseFault(from, err)
	}
	return &remote.MountableLayer{Layer: own, Reference: repository.Digest(digest)}, nil
}

func (img *image) Layers() ([]v1.Layer, error)         { return img.layers, nil }
func (img *image) MediaType() (types.MediaType, error) { return img.root.MediaType, nil }
func (img *image) Size() (int64, error)                { return img.root.Size, nil }
func (img *image) Digest() (v1.Hash, error)            { return img.root.Digest, nil }
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
	total := img.root.Size + img.manifest.Config.Size
	for _, d := range img.manifest.Layers {
		total += d.Size
	}
	return total
}
