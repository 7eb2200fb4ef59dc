package bundle

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

// maxLayers is how many layers a registry and a container runtime can be relied on to bear.
const maxLayers = 127

// Package writes the image as an OCI layout at a.Layout. What was there before
// stays until the new layout is whole. It yields digest and size; its section
// is record.Image.
func (b *Bundler) Package(ctx context.Context, a plan.Package) (plan.Receipt, error) {
	release, err := b.hold(ctx)
	if err != nil {
		return plan.Receipt{}, ended(ctx, "package", err)
	}
	run := b.setOut(ctx, a.Ahead)
	receipt, err := b.pack(ctx, a, run)
	release()
	if err != nil {
		run.giveUp()
		_ = b.chores.wait()
		return receipt, ended(ctx, "package", err)
	}
	run.handOver()
	if run != nil {
		return receipt, nil
	}
	return receipt, b.tidy()
}

// tidy waits until the cache is safe, and clears it.
func (b *Bundler) tidy() error {
	if err := b.chores.wait(); err != nil {
		return err
	}
	return b.trim()
}

func (b *Bundler) pack(ctx context.Context, a plan.Package, run *ahead) (plan.Receipt, error) {
	form, err := formOf(a.Format)
	if err != nil {
		return plan.Receipt{}, err
	}
	files, err := b.programFiles(a)
	if err != nil {
		return plan.Receipt{}, err
	}
	known, err := b.survey(ctx, a, form)
	if err != nil {
		return plan.Receipt{}, err
	}
	out, err := createLayout(a.Layout)
	if err != nil {
		return plan.Receipt{}, diskFault("write "+a.Layout, err)
	}
	defer out.discard()
	var images []built
	for _, one := range known {
		run.base(one.base)
		image, err := b.assemble(ctx, one, out, files, run)
		if err != nil {
			return plan.Receipt{}, err
		}
		images = append(images, image)
	}
	root, size, err := out.root(a, form, images)
	if err != nil {
		return plan.Receipt{}, diskFault("write "+a.Layout, err)
	}
	if err := ctx.Err(); err != nil {
		return plan.Receipt{}, context.Cause(ctx)
	}
	if err := out.finish(a.Layout, root, images); err != nil {
		return plan.Receipt{}, diskFault("write "+a.Layout, err)
	}
	section := record.Image{
		Digest: root.Digest.String(), Platform: a.Platform, Python: a.Python, Base: known[0].base.pinned, Size: size,
	}
	if len(a.Evaluate) > 0 {
		section.Evaluates = a.EvaluationFile
	}
	return plan.Receipt{
		Yields:  map[string]string{"digest": section.Digest, "size": fmt.Sprint(section.Size)},
		Section: section,
		Said:    said(files, images, form, size),
	}, nil
}

// variants are the images that are built: one, or one for each platform.
func variants(a plan.Package) []plan.Package {
	list := []plan.Package{a}
	for _, variant := range a.Variants {
		other := a
		other.Base, other.Platform = variant.Base, variant.Platform
		list = append(list, other)
	}
	return list
}

func (b *Bundler) programFiles(a plan.Package) ([]File, error) {
	files, err := Files(Tree{Root: a.Root, Path: a.Path, Shared: a.Shared, Exclude: a.Exclude, Cache: b.o.Cache})
	if err == nil && len(files) == 0 {
		err = fault.Newf(fault.Repository, "package %s: no file is left to pack", a.Path).
			Hintf("check path in towline.yaml, and .dockerignore and .towlineignore")
	}
	return files, err
}

// built is a finished image.
type built struct {
	root   v1.Descriptor
	size   int64 // bytes of all blobs, the base's included
	from   base
	layers []blob // those above the base's
}

// assemble writes the layers that are the model's own, the configuration and the manifest.
func (b *Bundler) assemble(ctx context.Context, known surveyed, out *newLayout, files []File, run *ahead) (built, error) {
	a, from, before := known.a, known.base, known.before
	var layers, own []blob
	workers, within := errgroup.WithContext(ctx)
	workers.Go(func() (err error) {
		layers, err = b.dependencies(within, known.job, before, run)
		return err
	})
	workers.Go(func() (err error) {
		if own, err = b.program(within, a, out, files, before, run); err != nil {
			return err
		}
		for _, layer := range own {
			run.copied(layer)
		}
		return nil
	})
	if err := workers.Wait(); err != nil {
		return built{}, err
	}
	layers = append(layers, own...)
	if err := from.bears(len(layers)); err != nil {
		return built{}, err
	}
	for _, layer := range layers {
		if layer.file == "" {
			continue
		}
		if err := out.adopt(layer.file, layer.Digest); err != nil {
			return built{}, diskFault("write "+a.Layout, err)
		}
	}
	if err := out.adoptBase(from); err != nil {
		return built{}, err
	}
	return out.describe(a, from, layers)
}

// program gives the layers of the model's own files and of the entries, those
// that change least first.
func (b *Bundler) program(ctx context.Context, a plan.Package, out *newLayout, files []File, before *past, run *ahead) ([]blob, error) {
	parts, err := part(files)
	if err != nil {
		return nil, err
	}
	layers, err := b.allWeights(ctx, parts.weights, before, run)
	if err != nil {
		return nil, err
	}
	for _, file := range parts.text {
		layer, err := b.code(ctx, out, "file: "+file.Path, []File{file}, before)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	small, err := smallLayers(ctx, a, out)
	if err != nil {
		return nil, err
	}
	layers = append(layers, small...)
	if len(parts.code) == 0 {
		return layers, nil
	}
	code, err := b.code(ctx, out, "code: "+count(len(parts.code), "file"), parts.code, before)
	return append(layers, code), err
}

// smallLayers are the home of the image's user and the entries, as far as the
// image has them.
func smallLayers(ctx context.Context, a plan.Package, out *newLayout) ([]blob, error) {
	var layers []blob
	add := func(about string, items []item) error {
		layer, err := writeLayer(ctx, out.blobs(), about, items)
		layer.note(howBuilt, "small: written each time")
		layers = append(layers, layer)
		return err
	}
	if a.User != "" {
		folder, err := home(a.User)
		if err != nil {
			return nil, err
		}
		if err := add("home of user "+a.User, []item{folder}); err != nil {
			return nil, err
		}
	}
	if len(a.Train) == 0 {
		return layers, nil
	}
	items, err := entryItems(a)
	if err != nil {
		return nil, err
	}
	about := "entries: train and serve"
	if len(a.Evaluate) > 0 {
		about = "entries: train, serve and evaluate"
	}
	return layers, add(about, items)
}

// allWeights gives the layers of weights, of which two are read at a time.
func (b *Bundler) allWeights(ctx context.Context, groups [][]File, before *past, run *ahead) ([]blob, error) {
	layers := make([]blob, len(groups))
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(2)
	for i, group := range groups {
		workers.Go(func() (err error) {
			layers[i], err = b.weights(ctx, group, before, run)
			return err
		})
	}
	return layers, workers.Wait()
}

// worthAKey is the size, in bytes, from which on files are worth looking for
// in an earlier image before they are packed.
const worthAKey = 8 << 20

// code packs files, unless they are many and an earlier image has them.
func (b *Bundler) code(ctx context.Context, out *newLayout, about string, files []File, before *past) (blob, error) {
	if total(files) < worthAKey {
		layer, err := writeLayer(ctx, out.blobs(), about, programItems(files))
		layer.note(howBuilt, "small: written each time")
		return layer, err
	}
	key, err := contentKey(compressor, files)
	if err != nil {
		return blob{}, err
	}
	if layers, ok := before.find(ctx, key, 1); ok {
		return layers[0], nil
	}
	layer, err := writeLayer(ctx, out.blobs(), about, programItems(files))
	layer.Key = layerKey(key, 0, 1)
	layer.note(howBuilt, "new or changed files")
	return layer, err
}

func total(files []File) (n int64) {
	for _, file := range files {
		n += file.Size
	}
	return n
}

// adoptBase brings in the layers of a base that lies on this disk; those of a
// registry stay there until the push.
func (l *newLayout) adoptBase(from base) error {
	if from.folder == "" {
		return nil
	}
	for _, layer := range from.layers {
		file := layoutBlob(from.folder, layer.Digest)
		if !sized(file, layer.Size) {
			return fault.Newf(fault.Missing, "read base image %s: blob %s is not whole", from.pinned, layer.Digest).
				Hintf("copy the base image anew")
		}
		if err := l.adopt(file, layer.Digest); err != nil {
			return diskFault("write image", err)
		}
	}
	return nil
}

func said(files []File, images []built, form form, size int64) string {
	text := count(len(files), "file") + ", " + saidDependencies(images[0].layers)
	if len(images) > 1 {
		text = count(len(images), "platform") + ", " + text
	}
	text += ", " + megabytes(size)
	if form.name != formDocker {
		text += ", in the format " + form.name + ", which SageMaker's endpoints do not take"
	}
	return text
}

func saidDependencies(layers []blob) string {
	n, how := 0, ""
	for _, layer := range layers {
		if what(layer) == dependencyKind {
			n, how = n+1, layer.how
		}
	}
	switch {
	case n == 0:
		return "no dependencies"
	case how == howCached:
		return fmt.Sprintf("dependencies as before (%s from the cache)", count(n, "layer"))
	case how == howRegistry:
		return fmt.Sprintf("dependencies as before (%s left in the registry)", count(n, "layer"))
	}
	return fmt.Sprintf("dependencies installed (%s)", count(n, "layer"))
}
