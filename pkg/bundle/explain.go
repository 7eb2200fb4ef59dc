package bundle

import (
	"context"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// Layer is one layer of an image, for people.
type Layer struct {
	Digest   string `json:"digest,omitempty"` // "" before it is built
	Size     int64  `json:"size"`             // bytes: compressed, or of its files before it is built
	Platform string `json:"platform"`
	About    string `json:"about"`
	How      string `json:"how"` // base, built, cached or registry; "to build" before it is built
	Why      string `json:"why"`
	There    *bool  `json:"there,omitempty"` // whether the repository has it; nil if that is unknown
}

// Explain tells of every layer of a packaged image how it came about.
func Explain(folder string) ([]Layer, error) {
	noted := readNotes(folder)
	if len(noted.Layers) == 0 {
		return nil, fault.Newf(fault.Missing, "explain %s: no image was packaged there", folder).Hintf("run: towline package")
	}
	var list []Layer
	for _, n := range noted.Layers {
		list = append(list, Layer{
			Digest: n.Digest.String(), Size: n.Size, Platform: n.Platform, About: n.About, How: n.How, Why: n.Why,
		})
	}
	return list, nil
}

const howToBuild = "to build"

// Preview tells of the layers that Package would write, and changes nothing.
// Which of them the repository has is told too; "" asks no registry.
func (b *Bundler) Preview(ctx context.Context, a plan.Package, repository string) ([]Layer, error) {
	files, err := b.programFiles(a)
	if err != nil {
		return nil, err
	}
	parts, err := part(files)
	if err != nil {
		return nil, err
	}
	if repository == "" {
		a.Reuse = nil
	}
	p := &preview{b: b, a: a, before: b.past(a)}
	if err := p.dependencies(ctx); err != nil {
		return nil, err
	}
	for _, group := range parts.weights {
		if err := p.weights(ctx, group); err != nil {
			return nil, err
		}
	}
	for _, file := range parts.text {
		p.toBuild("file: "+file.Path, file.Size, "compressed, in a layer of its own")
	}
	if len(parts.code) > 0 {
		p.toBuild("code: "+count(len(parts.code), "file"), total(parts.code), "")
	}
	if repository != "" {
		p.ask(ctx, repository)
	}
	return p.list, b.previewBase(ctx, a, len(p.list)+1) // the entries come on top
}

// preview collects what would be built.
type preview struct {
	b      *Bundler
	a      plan.Package
	before *past
	list   []Layer
	known  []blob // of the list's layers; zero for one that is not known
}

func (p *preview) add(layer blob, size int64) {
	told := Layer{Size: size, Platform: p.a.Platform, About: layer.About, How: layer.how, Why: layer.why}
	if layer.Digest.Hex != "" {
		told.Digest, told.Size = layer.Digest.String(), layer.Size
	}
	p.list, p.known = append(p.list, told), append(p.known, layer)
}

func (p *preview) toBuild(about string, size int64, why string) {
	p.add(blob{About: about, how: howToBuild, why: why}, size)
}

func (p *preview) dependencies(ctx context.Context) error {
	job, err := p.b.installation(p.a)
	if err != nil || job == nil {
		return err
	}
	layers, ok := p.b.fromCache(job.key())
	for i := range layers {
		layers[i].note(howCached, "the same requirements, platform and Python as before")
	}
	if !ok {
		layers, ok = p.before.find(ctx, job.key(), 0)
	}
	if !ok {
		p.toBuild(dependencyKind+": "+job.name, 0, "to be installed")
	}
	for _, layer := range layers {
		p.add(layer, 0)
	}
	return nil
}

func (p *preview) weights(ctx context.Context, files []File) error {
	key, err := contentKey(storedForm, files)
	if err != nil {
		return err
	}
	if layer, ok := p.b.knownWeights(key); ok {
		layer.note(howCached, "the same files as before")
		p.add(layer, 0)
		return nil
	}
	if layers, ok := p.before.find(ctx, key, 1); ok {
		p.add(layers[0], 0)
		return nil
	}
	p.toBuild("weights: "+fileNames(files), total(files), "stored as they are")
	return nil
}

// ask looks for the layers in the repository. One that does not answer leaves
// it unknown.
func (p *preview) ask(ctx context.Context, repository string) {
	to, err := p.b.repository(repository)
	if err != nil {
		return
	}
	puller, err := remote.NewPuller(p.b.remote(ctx)...)
	if err != nil {
		return
	}
	for i, layer := range p.known {
		if layer.Digest.Hex == "" {
			continue
		}
		if there, err := blobThere(ctx, puller, to, layer.Digest); err == nil {
			p.list[i].There = &there
		}
	}
}
