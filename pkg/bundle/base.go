package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"gitlab.com/towline/towline/pkg/fault"
)

// Scratch is the base that holds nothing.
const Scratch = "scratch"

// ociPrefix marks a base in an OCI layout on this disk.
const ociPrefix = "oci:"

// base is what an image is built on: its metadata, never its content.
type base struct {
	pinned string // the reference by digest, or "scratch"
	name   string // reference in a registry, without digest if it had a tag; "" for scratch and a layout
	digest string // of the platform's manifest; "" for scratch
	index  string // of what the reference names: the manifest, or an index above it
	config *v1.ConfigFile
	layers []v1.Descriptor
	folder string // of the layout that holds the layers; "" if a registry does
}

// ResolveBase gives the reference with the digest of the platform's manifest,
// and "scratch" for scratch.
func (b *Bundler) ResolveBase(ctx context.Context, ref, platform string) (string, error) {
	found, err := b.base(ctx, ref, platform)
	return found.pinned, ended(ctx, "read base image", err)
}

// base reads manifest and configuration of the platform's image.
func (b *Bundler) base(ctx context.Context, ref, platform string) (base, error) {
	if !validPlatform(platform) {
		return base{}, fault.Newf(fault.Repository, "package for platform %q: wanted one such as linux/amd64", platform).
			Hintf("correct image.platforms in towline.yaml")
	}
	if ref == Scratch || ref == "" {
		return base{pinned: Scratch, config: &v1.ConfigFile{}}, nil
	}
	source, err := b.source(ctx, ref)
	if err != nil {
		return base{}, err
	}
	manifest, digest, err := pick(source, ref, platform)
	if err != nil {
		return base{}, err
	}
	if source.pinned != "" && source.pinned != digest.Hex {
		return base{}, fault.Newf(fault.Conflict, "read base image %s: the folder holds %s by now", ref, digest).
			Hintf("let nothing write to the folder meanwhile, and run the command again")
	}
	found := base{digest: digest.String(), index: source.root.Digest.String(), name: source.name, folder: source.folder}
	found.pinned = source.repository + "@" + found.digest
	found.layers = manifest.Layers
	if found.config, err = baseConfig(source, ref, manifest); err != nil {
		return base{}, err
	}
	return found, fits(ref, platform, found.config)
}

// source reads the documents of an image, wherever it lies.
type source struct {
	name, repository, folder string
	pinned                   string // hexadecimal digest that the platform's manifest of a layout must have, if not ""
	root                     v1.Descriptor
	manifest                 func(v1.Descriptor) ([]byte, error)
	blob                     func(v1.Descriptor) ([]byte, error)
}

func (b *Bundler) source(ctx context.Context, ref string) (source, error) {
	if folder, ok := strings.CutPrefix(ref, ociPrefix); ok {
		return layoutSource(ref, folder)
	}
	reference, err := b.reference(ref)
	if err != nil {
		return source{}, nameFault(err)
	}
	puller, err := remote.NewPuller(b.remote(ctx)...)
	if err != nil {
		return source{}, err
	}
	found, err := puller.Get(ctx, reference)
	if err != nil {
		return source{}, baseFault(ref, err)
	}
	repository := reference.Context()
	s := source{root: found.Descriptor, repository: repository.Name(), name: reference.Name()}
	s.manifest = func(d v1.Descriptor) ([]byte, error) {
		if d.Digest == found.Digest {
			return found.Manifest, nil
		}
		child, err := puller.Get(ctx, repository.Digest(d.Digest.String()))
		if err != nil {
			return nil, baseFault(ref, err)
		}
		return child.Manifest, nil
	}
	s.blob = func(d v1.Descriptor) ([]byte, error) {
		layer, err := puller.Layer(ctx, repository.Digest(d.Digest.String()))
		if err != nil {
			return nil, baseFault(ref, err)
		}
		text, err := readLayer(layer)
		return text, baseFault(ref, err)
	}
	return s, nil
}

// layoutSource reads oci:FOLDER, or oci:FOLDER@sha256:DIGEST as ResolveBase gives it.
func layoutSource(ref, folder string) (source, error) {
	folder, pinned, _ := strings.Cut(folder, "@sha256:")
	l, err := openLayout(folder)
	if err != nil {
		return source{}, fault.Newf(fault.Missing, "read base image %s: %w", ref, err).
			Hintf("correct image.base in towline.yaml: wanted the folder of an OCI layout with one image")
	}
	return source{repository: ociPrefix + folder, folder: folder, pinned: pinned, root: l.root, manifest: l.read, blob: l.read}, nil
}

// pick follows indexes down to the manifest of the platform.
func pick(s source, ref, platform string) (*v1.Manifest, v1.Hash, error) {
	at := s.root
	for range 3 {
		text, err := s.manifest(at)
		if err != nil {
			return nil, v1.Hash{}, err
		}
		if !at.MediaType.IsIndex() {
			return parseManifest(ref, at, text)
		}
		var index v1.IndexManifest
		if err := json.Unmarshal(text, &index); err != nil {
			return nil, v1.Hash{}, fault.Newf(fault.Remote, "read base image %s: %w", ref, err)
		}
		child, found := child(index, platform)
		if child == nil {
			return nil, v1.Hash{}, wrongPlatform(ref, platform, found)
		}
		at = *child
	}
	return nil, v1.Hash{}, fault.Newf(fault.Repository, "read base image %s: indexes within indexes", ref)
}

func parseManifest(ref string, at v1.Descriptor, text []byte) (*v1.Manifest, v1.Hash, error) {
	var manifest v1.Manifest
	if !at.MediaType.IsImage() {
		return nil, v1.Hash{}, fault.Newf(fault.Repository, "read base image %s: found %s, wanted an image", ref, at.MediaType).
			Hintf("correct image.base in towline.yaml")
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return nil, v1.Hash{}, fault.Newf(fault.Remote, "read base image %s: %w", ref, err)
	}
	return &manifest, at.Digest, nil
}

// child is the index's image for the platform, or nil and the platforms there
// are. Attestations, whose platform is unknown, do not count.
func child(index v1.IndexManifest, platform string) (*v1.Descriptor, []string) {
	system, arch, variant := splitPlatform(platform)
	var found []string
	for i, d := range index.Manifests {
		p := d.Platform
		switch {
		case p == nil && d.MediaType.IsImage() && len(index.Manifests) == 1, p == nil && d.MediaType.IsIndex():
			return &index.Manifests[i], nil
		case p == nil || p.OS == "unknown":
			continue
		case p.OS == system && p.Architecture == arch && (variant == "" || p.Variant == "" || p.Variant == variant):
			return &index.Manifests[i], nil
		}
		found = append(found, p.String())
	}
	return nil, found
}

func wrongPlatform(ref, platform string, found []string) error {
	slices.Sort(found)
	list := strings.Join(slices.Compact(found), ", ")
	if list == "" {
		list = "no image"
	}
	return fault.Newf(fault.Repository, "read base image %s: found %s, wanted %s", ref, list, platform).
		Hintf("choose another image.base or image.platforms in towline.yaml")
}

// fits checks the configuration too: an index may lie, and a single image has no index.
func fits(ref, platform string, config *v1.ConfigFile) error {
	system, arch, _ := splitPlatform(platform)
	if config.OS == system && config.Architecture == arch {
		return nil
	}
	return wrongPlatform(ref, platform, []string{config.OS + "/" + config.Architecture})
}

func baseConfig(s source, ref string, manifest *v1.Manifest) (*v1.ConfigFile, error) {
	text, err := s.blob(manifest.Config)
	if err != nil {
		return nil, err
	}
	var config v1.ConfigFile
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, fault.Newf(fault.Remote, "read base image %s: %w", ref, err)
	}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return nil, fault.Newf(fault.Remote, "read base image %s: its configuration names %d layers, its manifest %d",
			ref, len(config.RootFS.DiffIDs), len(manifest.Layers))
	}
	return &config, nil
}

func nameFault(err error) error {
	return fault.Newf(fault.Repository, "read base image: %w", err).Hintf("correct image.base in towline.yaml")
}

// baseFault classifies an error of reading a base from its registry.
func baseFault(ref string, err error) error {
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return fault.Newf(fault.Missing, "read base image %s: %w", ref, err).Hintf("correct image.base in towline.yaml")
	}
	return registryFault("read base image "+ref, err)
}

// reference parses an image's name; hosts that are mapped are spoken to in plain HTTP.
func (b *Bundler) reference(ref string) (name.Reference, error) {
	reference, err := name.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("%q is no image reference", ref)
	}
	if b.mapped(reference.Context().RegistryStr()) {
		return name.ParseReference(ref, name.Insecure)
	}
	return reference, nil
}

// layoutBlob is where a layout keeps a blob.
func layoutBlob(folder string, digest v1.Hash) string {
	return filepath.Join(folder, "blobs", digest.Algorithm, digest.Hex)
}

// sized says whether a file has that size.
func sized(name string, size int64) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}
