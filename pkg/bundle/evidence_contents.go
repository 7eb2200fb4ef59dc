package bundle

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/evidence"
	"gitlab.com/towline/towline/pkg/fault"
)

// ownLayers are the layers of an image that Towline made, in order, without
// those of weights, which hold no packages and may be huge.
func ownLayers(manifest v1.Manifest, config v1.ConfigFile) []v1.Descriptor {
	var own []v1.Descriptor
	i := len(manifest.Layers)
	// Our lines are the last ones; a base may have fewer lines than layers.
	for _, line := range slices.Backward(config.History) {
		if line.EmptyLayer || i == 0 {
			continue
		}
		i--
		about, ok := strings.CutPrefix(line.CreatedBy, "towline: ")
		if ok && !strings.HasPrefix(about, "weights") {
			own = append(own, manifest.Layers[i])
		}
	}
	slices.Reverse(own)
	return own
}

// inventory lists the Python distributions in an image.
type inventory struct {
	b         *Bundler
	from      shelf // has the documents, and maybe the layers
	otherwise shelf // has the layers that the first lacks
	notes     notes
	earlier   map[string][][]byte // bills of materials by image
}

// contents lists the distributions in an image, or in all images of an index.
func (v *inventory) contents(ctx context.Context, root v1.Hash) ([]evidence.Distribution, error) {
	var list []evidence.Distribution
	doc, err := v.from.manifest(root.String())
	if err != nil {
		return nil, err
	}
	if kindOf(doc.text).IsIndex() {
		var index v1.IndexManifest
		if err := json.Unmarshal(doc.text, &index); err != nil {
			return nil, err
		}
		for _, child := range index.Manifests[:min(len(index.Manifests), maxChildren)] {
			found, err := v.contents(ctx, child.Digest)
			if err != nil {
				return nil, err
			}
			list = append(list, found...)
		}
		return list, nil
	}
	var manifest v1.Manifest
	var config v1.ConfigFile
	if err := json.Unmarshal(doc.text, &manifest); err != nil {
		return nil, err
	}
	text, err := v.from.document(manifest.Config)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, err
	}
	for _, layer := range ownLayers(manifest, config) {
		found, err := v.layer(ctx, layer)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// layer lists the distributions in one layer: as they were when it was packed,
// as a bill of materials of the image says that it was taken from, or as they
// are found in it, wherever it is.
func (v *inventory) layer(ctx context.Context, layer v1.Descriptor) ([]evidence.Distribution, error) {
	if text, err := os.ReadFile(v.b.contentsFile(layer.Digest)); err == nil {
		var list []evidence.Distribution
		if json.Unmarshal(text, &list) == nil {
			return list, nil
		}
	}
	content, err := v.from.blob(layer.Digest)
	if lost(err) {
		if list := v.told(ctx, layer.Digest); len(list) > 0 {
			return list, v.b.keepContents(layer.Digest, list)
		}
		content, err = v.otherwise.blob(layer.Digest)
	}
	if err != nil {
		return nil, fault.Newf(fault.KindOf(err), "read layer %s: %w", layer.Digest, err).Hintf("package and push again")
	}
	defer func() { _ = content.Close() }()
	list, err := distributions(ctx, content, layer)
	if err != nil {
		return nil, fault.Newf(fault.Remote, "read layer %s: %w", layer.Digest, err).Hintf("package again")
	}
	return list, v.b.keepContents(layer.Digest, list)
}

// told is what the evidence of the earlier image says of a layer that was
// taken from there. It is believed as far as the layer itself is: whoever may
// write there could have changed both.
func (v *inventory) told(ctx context.Context, layer v1.Hash) []evidence.Distribution {
	noted, ok := v.notes.of(layer)
	if !ok || noted.Image == "" {
		return nil
	}
	bills, known := v.earlier[noted.Image]
	if !known {
		bills = v.b.billsOf(ctx, noted.Image)
		v.earlier[noted.Image] = bills
	}
	for _, bill := range bills {
		if list := evidence.ParseSBOM(bill, layer.String()); len(list) > 0 {
			return list
		}
	}
	return nil
}

// billsOf are the bills of materials of an image; what cannot be read is as if
// there were none.
func (b *Bundler) billsOf(ctx context.Context, image string) [][]byte {
	s, err := b.shelf(ctx, image)
	if err != nil {
		return nil
	}
	_, digest, _ := strings.Cut(image, "@")
	hash, err := v1.NewHash(digest)
	if err != nil {
		return nil
	}
	found, _, err := s.evidence(hash)
	if err != nil {
		return nil
	}
	return found.SBOMs
}

func (b *Bundler) contentsFile(layer v1.Hash) string {
	return filepath.Join(b.o.Cache, "contents", layer.Hex+".json")
}

// keepContents notes what is in a layer, so that it need not be read again.
func (b *Bundler) keepContents(layer v1.Hash, list []evidence.Distribution) error {
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(b.contentsFile(layer)), 0o755); err != nil {
		return diskFault("write the cache", err)
	}
	return diskFault("write the cache", renameio.WriteFile(b.contentsFile(layer), text, 0o644))
}

// packedContents are the distributions in what was just packed into a layer.
func packedContents(layer v1.Hash, items []item) ([]evidence.Distribution, error) {
	found := census{}
	for _, it := range items {
		if folder, _ := evidence.MetadataOf(it.path); folder == "" {
			continue
		}
		content, err := it.open()
		if err != nil {
			return nil, diskFault("read "+it.path, err)
		}
		err = found.take(it.path, content)
		_ = content.Close()
		if err != nil {
			return nil, diskFault("read "+it.path, err)
		}
	}
	return found.list(layer), nil
}

// distributions reads a layer's archive for the metadata of installed packages.
func distributions(ctx context.Context, content io.Reader, layer v1.Descriptor) ([]evidence.Distribution, error) {
	packed := newMeter()
	body := bufio.NewReaderSize(io.TeeReader(io.LimitReader(content, layer.Size+1), packed), 256<<10)
	plain, stop, err := plainReader(body, layer.MediaType)
	if err != nil {
		return nil, err
	}
	defer stop()
	found := census{}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := found.take(header.Name, archive); err != nil {
			return nil, err
		}
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return nil, err
	}
	if packed.digest() != layer.Digest {
		return nil, errTampered
	}
	return found.list(layer.Digest), nil
}

// census is what the files of a layer say of distributions, by their folders.
type census map[string]*evidence.Distribution

// take reads a file if it is one that tells of a distribution.
func (c census) take(name string, content io.Reader) error {
	folder, file := evidence.MetadataOf(name)
	if folder == "" {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(content, evidence.MaxMetadata))
	if err != nil {
		return err
	}
	if c[folder] == nil {
		c[folder] = &evidence.Distribution{}
	}
	d := c[folder]
	if file == "RECORD" {
		sum := sha256.Sum256(text)
		d.Record = hex.EncodeToString(sum[:])
		return nil
	}
	if found, ok := evidence.ParseMetadata(text); ok {
		found.Record = d.Record
		*d = found
	}
	return nil
}

func (c census) list(layer v1.Hash) []evidence.Distribution {
	list := []evidence.Distribution{}
	for _, folder := range slices.Sorted(maps.Keys(c)) {
		if d := c[folder]; d.Name != "" {
			d.Layer = layer.String()
			list = append(list, *d)
		}
	}
	return list
}
