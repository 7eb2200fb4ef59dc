package bundle

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"gitlab.com/towline/towline/pkg/plan"
)

// keyMarker stands in the history's comment of every layer that has a key.
const keyMarker = "towline.key="

// layerKey is the key of one layer of a set.
func layerKey(set string, i, of int) string { return fmt.Sprintf("%s/%d/%d", set, i, of) }

// past is what earlier images have: their layers, by key. First the image
// that is about to be replaced is looked at, and then a registry, of which only
// manifests and configurations are read. Neither is before it is asked for.
type past struct {
	b        *Bundler
	layout   string
	refs     []string
	platform string

	once   sync.Once
	puller *remote.Puller
	layers map[string]blob
	told   bool // an image in a registry was read
}

func (b *Bundler) past(a plan.Package) *past {
	return &past{b: b, layout: a.Layout, refs: a.Reuse, platform: a.Platform}
}

// look asks for the earlier images, once.
func (p *past) look(ctx context.Context) { p.once.Do(func() { p.read(ctx) }) }

// find gives the layers of a set, if an earlier image names all of them and
// its registry still has them.
func (p *past) find(ctx context.Context, set string, of int) ([]blob, bool) {
	p.look(ctx)
	var layers []blob
	for i := 0; of == 0 || i < of; i++ {
		layer, ok := p.first(set, i, &of)
		if !ok {
			return nil, false
		}
		if layer.file != "" {
			layers = append(layers, layer)
			continue
		}
		there, err := p.has(ctx, layer)
		if err != nil || !there {
			p.b.o.Log(fmt.Sprintf("%s has lost layer %s: it is built anew", layer.registry, layer.Digest))
			return nil, false
		}
		layer.note(howRegistry, "the same "+what(layer)+" as in "+layer.registry+", which has the layer")
		layers = append(layers, layer)
	}
	return layers, len(layers) > 0
}

// mayHold says whether an earlier image has a layer that could be one of so many
// bytes, stored: only then is it worth learning what they are before the layer is made.
func (p *past) mayHold(ctx context.Context, bytes int64) bool {
	p.look(ctx)
	for _, layer := range p.layers {
		if layer.Size >= bytes && layer.Size-bytes <= bytes/100+storedOverhead {
			return true
		}
	}
	return false
}

// storedOverhead is what a stored layer has above its files at the most, in
// bytes, besides a hundredth: the headers of the files and of the folders above them.
const storedOverhead = 4 << 20

// first finds the i-th layer of a set. How many the set has is learnt from the
// layer's own key where it is not known.
func (p *past) first(set string, i int, of *int) (blob, bool) {
	if *of > 0 {
		layer, ok := p.layers[layerKey(set, i, *of)]
		return layer, ok
	}
	for n := 1; n <= maxDependencyLayers; n++ {
		if layer, ok := p.layers[layerKey(set, i, n)]; ok {
			*of = n
			return layer, true
		}
	}
	return blob{}, false
}

func what(layer blob) string {
	kind, _, _ := strings.Cut(layer.About, ":")
	return kind
}

// read asks the registry. What cannot be read is as if it were not there: the
// layers are built.
func (p *past) read(ctx context.Context) {
	p.layers = map[string]blob{}
	p.readLayout()
	if len(p.refs) == 0 {
		return
	}
	var err error
	if p.puller, err = remote.NewPuller(p.b.remote(ctx)...); err != nil {
		return
	}
	for _, ref := range p.refs {
		if err := p.readOne(ctx, ref); err != nil {
			p.b.o.Log(fmt.Sprintf("no layers are taken from %s: %v", ref, err))
		}
	}
}

func (p *past) readOne(ctx context.Context, ref string) error {
	from, err := p.b.source(ctx, ref)
	if err != nil {
		return err
	}
	manifest, _, err := pick(from, ref, p.platform)
	if err != nil {
		return err
	}
	config, err := baseConfig(from, ref, manifest)
	if err != nil {
		return err
	}
	p.told = true
	for _, layer := range keyed(manifest, config) {
		layer.registry, layer.image = from.repository, from.repository+"@"+from.root.Digest.String()
		p.add(layer)
	}
	return nil
}

// readLayout takes in the layers that the former layout holds itself.
func (p *past) readLayout() {
	former, err := readParcel(p.layout)
	if err != nil {
		return
	}
	for _, img := range former.images {
		if img.platform() != p.platform {
			continue
		}
		for _, layer := range keyed(&img.manifest, &img.config) {
			layer.file = layoutBlob(p.layout, layer.Digest)
			if sized(layer.file, layer.Size) {
				layer.note(howCached, "the same "+what(layer)+" as in the image that was here")
				p.add(layer)
			}
		}
	}
}

func (p *past) add(layer blob) {
	if _, known := p.layers[layer.Key]; !known {
		p.layers[layer.Key] = layer
	}
}

// keyed are the layers of an image that have a key. Our lines of its history
// are the last ones; a base may have fewer lines than layers.
func keyed(manifest *v1.Manifest, config *v1.ConfigFile) []blob {
	var layers []blob
	i := len(manifest.Layers)
	for _, line := range slices.Backward(config.History) {
		if line.EmptyLayer || i == 0 {
			continue
		}
		i--
		if key, ok := strings.CutPrefix(line.Comment, keyMarker); ok {
			layers = append(layers, blob{
				Digest: manifest.Layers[i].Digest, DiffID: config.RootFS.DiffIDs[i], Size: manifest.Layers[i].Size,
				About: strings.TrimPrefix(line.CreatedBy, "towline: "), Key: key,
			})
		}
	}
	return layers
}

// has asks the registry for a layer's presence.
func (p *past) has(ctx context.Context, layer blob) (bool, error) {
	repository, err := p.b.repository(layer.registry)
	if err != nil {
		return false, err
	}
	return blobThere(ctx, p.puller, repository, layer.Digest)
}

func blobThere(ctx context.Context, puller *remote.Puller, repository name.Repository, digest v1.Hash) (bool, error) {
	found, err := puller.Layer(ctx, repository.Digest(digest.String()))
	if err != nil {
		return false, err
	}
	return partial.Exists(found)
}
