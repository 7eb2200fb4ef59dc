package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// parcel is what a layout holds: one image, or an index of images.
type parcel struct {
	*layout
	raw    []byte // the index; nil if there is none
	images []*image
}

func readParcel(folder string) (*parcel, error) {
	l, err := openLayout(folder)
	if err != nil {
		return nil, err
	}
	p := &parcel{layout: l}
	roots := []v1.Descriptor{l.root}
	if l.root.MediaType.IsIndex() {
		if p.raw, err = l.read(l.root); err != nil {
			return nil, err
		}
		var index v1.IndexManifest
		if err := json.Unmarshal(p.raw, &index); err != nil {
			return nil, err
		}
		roots = index.Manifests
	}
	for _, root := range roots {
		if !root.MediaType.IsImage() {
			return nil, fmt.Errorf("%s is %s, wanted an image", root.Digest, root.MediaType)
		}
		img, err := l.image(root)
		if err != nil {
			return nil, err
		}
		p.images = append(p.images, img)
	}
	if len(p.images) == 0 {
		return nil, errors.New("its index names no image")
	}
	return p, nil
}

// RawManifest and MediaType let the index be pushed as it is.
func (p *parcel) RawManifest() ([]byte, error)        { return p.raw, nil }
func (p *parcel) MediaType() (types.MediaType, error) { return p.root.MediaType, nil }

// layers are those of all images.
func (p *parcel) layers() []v1.Descriptor {
	var all []v1.Descriptor
	for _, img := range p.images {
		all = append(all, img.manifest.Layers...)
	}
	return all
}

// size is the bytes of all blobs.
func (p *parcel) size() int64 {
	total := int64(len(p.raw))
	for _, img := range p.images {
		total += img.size()
	}
	return total
}

// LayoutDigest is the digest of the image in a layout, if there is one and all
// its own layers can be had in full size: from the layout, from the files they
// are made of, or from where the layout says they lie.
func LayoutDigest(folder string) (string, bool) {
	p, err := readParcel(folder)
	if err != nil {
		return "", false
	}
	for _, img := range p.images {
		for _, d := range img.manifest.Layers {
			if !img.holds(d) {
				return "", false
			}
		}
	}
	return p.root.Digest.String(), true
}

// holds says whether a layer can be had.
func (img *image) holds(d v1.Descriptor) bool {
	file := layoutBlob(img.folder, d.Digest)
	if sized(file, d.Size) {
		return true
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	noted, ok := img.notes.of(d.Digest)
	switch {
	case ok && len(noted.Weights) > 0:
		_, whole := noted.files(img.folder)
		return whole
	case ok && noted.Registry != "":
		return true
	}
	return img.hasBase() && (!ok || noted.How == howBase)
}
