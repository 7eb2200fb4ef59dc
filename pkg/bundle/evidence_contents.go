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

// contents lists the Python distributions in an image, or in all images of an
// index. Layers that the first shelf lacks are read from the second.
func (b *Bundler) contents(ctx context.Context, from, otherwise shelf, root v1.Descriptor) ([]evidence.Distribution, error) {
	var list []evidence.Distribution
	doc, err := from.manifest(root.Digest.String())
	if err != nil {
		return nil, err
	}
	if kindOf(doc.text).IsIndex() {
		var index v1.IndexManifest
		if err := json.Unmarshal(doc.text, &index); err != nil {
			return nil, err
		}
		for _, child := range index.Manifests[:min(len(index.Manifests), maxChildren)] {
			found, err := b.contents(ctx, from, otherwise, child)
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
	text, err := from.document(manifest.Config)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, err
	}
	for _, layer := range ownLayers(manifest, config) {
		found, err := b.layerContents(ctx, from, otherwise, layer)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// layerContents lists the distributions in one layer. A layer is read once:
// the list is kept under its digest.
func (b *Bundler) layerContents(ctx context.Context, from, otherwise shelf, layer v1.Descriptor) ([]evidence.Distribution, error) {
	kept := filepath.Join(b.o.Cache, "contents", layer.Digest.Hex+".json")
	var list []evidence.Distribution
	if text, err := os.ReadFile(kept); err == nil && json.Unmarshal(text, &list) == nil {
		return list, nil
	}
	content, err := from.blob(layer.Digest)
	if lost(err) {
		content, err = otherwise.blob(layer.Digest)
	}
	if err != nil {
		return nil, fault.Newf(fault.KindOf(err), "read layer %s: %w", layer.Digest, err).Hintf("package and push again")
	}
	defer func() { _ = content.Close() }()
	if list, err = distributions(ctx, content, layer); err != nil {
		return nil, fault.Newf(fault.Remote, "read layer %s: %w", layer.Digest, err).Hintf("package again")
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		return nil, diskFault("write the cache", err)
	}
	return list, diskFault("write the cache", renameio.WriteFile(kept, text, 0o644))
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
	folders := map[string]*evidence.Distribution{}
	var order []string
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
		folder, file := evidence.MetadataOf(header.Name)
		if folder == "" || header.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(archive, evidence.MaxMetadata))
		if err != nil {
			return nil, err
		}
		if folders[folder] == nil {
			folders[folder] = &evidence.Distribution{}
			order = append(order, folder)
		}
		learn(folders[folder], file, text)
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return nil, err
	}
	if packed.digest() != layer.Digest {
		return nil, errTampered
	}
	return collected(folders, order, layer), nil
}

func learn(d *evidence.Distribution, file string, text []byte) {
	if file == "RECORD" {
		sum := sha256.Sum256(text)
		d.Record = hex.EncodeToString(sum[:])
		return
	}
	if found, ok := evidence.ParseMetadata(text); ok {
		found.Record = d.Record
		*d = found
	}
}

func collected(folders map[string]*evidence.Distribution, order []string, layer v1.Descriptor) []evidence.Distribution {
	list := []evidence.Distribution{}
	for _, folder := range order {
		if d := folders[folder]; d.Name != "" {
			d.Layer = layer.Digest.String()
			list = append(list, *d)
		}
	}
	return list
}
