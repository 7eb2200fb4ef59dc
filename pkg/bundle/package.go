package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

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
	receipt, err := b.pack(ctx, a)
	return receipt, ended(ctx, "package", err)
}

func (b *Bundler) pack(ctx context.Context, a plan.Package) (plan.Receipt, error) {
	from, err := b.base(ctx, a.Base, a.Platform)
	if err != nil {
		return plan.Receipt{}, err
	}
	files, err := Files(Tree{Root: a.Root, Path: a.Path, Shared: a.Shared, Exclude: a.Exclude})
	if err != nil {
		return plan.Receipt{}, err
	}
	if len(files) == 0 {
		return plan.Receipt{}, fault.Newf(fault.Repository, "package %s: no file is left to pack", a.Path).
			Hintf("check path in towline.yaml, and .dockerignore and .towlineignore")
	}
	dependencies, reused, err := b.dependencies(ctx, a)
	if err != nil {
		return plan.Receipt{}, err
	}
	out, err := createLayout(a.Layout)
	if err != nil {
		return plan.Receipt{}, diskFault("write "+a.Layout, err)
	}
	defer out.discard()
	built, err := b.assemble(ctx, a, out, from, dependencies, files)
	if err != nil {
		return plan.Receipt{}, err
	}
	if err := ctx.Err(); err != nil {
		return plan.Receipt{}, context.Cause(ctx)
	}
	if err := out.finish(a.Layout, built.root); err != nil {
		return plan.Receipt{}, diskFault("write "+a.Layout, err)
	}
	section := record.Image{
		Digest: built.root.Digest.String(), Platform: a.Platform, Python: a.Python, Base: from.pinned, Size: built.size,
	}
	return plan.Receipt{
		Yields:  map[string]string{"digest": section.Digest, "size": fmt.Sprint(section.Size)},
		Section: section,
		Said:    said(files, dependencies, reused, built),
	}, nil
}

// built is a finished image.
type built struct {
	root v1.Descriptor
	size int64 // bytes of all blobs, the base's included
}

// assemble writes the layers that are the model's own, the configuration and the manifest.
func (b *Bundler) assemble(ctx context.Context, a plan.Package, out *newLayout, from base, dependencies []blob, files []File) (built, error) {
	layers := dependencies
	for _, layer := range dependencies {
		if err := out.adopt(layer.file, layer.Digest); err != nil {
			return built{}, diskFault("write "+a.Layout, err)
		}
	}
	entries, err := entryItems(a)
	if err != nil {
		return built{}, err
	}
	for _, own := range []group{{"entries", entries}, {"code", programItems(files)}} {
		layer, err := writeLayer(ctx, out.blobs(), own.about, own.items)
		if err != nil {
			return built{}, err
		}
		layers = append(layers, layer)
	}
	if n := len(from.layers) + len(layers); n > maxLayers {
		return built{}, fault.Newf(fault.Repository, "package on %s: %d layers, wanted at most %d", a.Base, n, maxLayers).
			Hintf("choose an image.base with fewer layers")
	}
	if err := out.adoptBase(from); err != nil {
		return built{}, err
	}
	return describe(a, out, from, layers)
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

// describe writes configuration and manifest.
func describe(a plan.Package, out *newLayout, from base, layers []blob) (built, error) {
	file := configFor(a, from, layers)
	text, err := json.Marshal(file)
	if err != nil {
		return built{}, err
	}
	config, err := out.document(types.DockerConfigJSON, text)
	if err != nil {
		return built{}, diskFault("write "+a.Layout, err)
	}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2, Config: config, Layers: []v1.Descriptor{}}
	manifest.Layers = append(manifest.Layers, from.layers...)
	for _, layer := range layers {
		manifest.Layers = append(manifest.Layers,
			v1.Descriptor{MediaType: types.DockerLayer, Size: layer.Size, Digest: layer.Digest})
	}
	if text, err = json.Marshal(manifest); err != nil {
		return built{}, err
	}
	root, err := out.document(types.DockerManifestSchema2, text)
	if err != nil {
		return built{}, diskFault("write "+a.Layout, err)
	}
	size := root.Size + config.Size
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	root.Platform = &v1.Platform{OS: file.OS, Architecture: file.Architecture, Variant: file.Variant}
	root.Annotations = map[string]string{refName: strings.ToLower(a.Model)}
	return built{root: root, size: size}, nil
}

func said(files []File, dependencies []blob, reused bool, b built) string {
	text := count(len(files), "file")
	switch {
	case len(dependencies) == 0:
		text += ", no dependencies"
	case reused:
		text += fmt.Sprintf(", dependencies as before (%s from the cache)", count(len(dependencies), "layer"))
	default:
		text += fmt.Sprintf(", dependencies installed (%s)", count(len(dependencies), "layer"))
	}
	return text + ", " + megabytes(b.size)
}

// count says how many things there are.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func megabytes(n int64) string {
	if n < 100_000 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
