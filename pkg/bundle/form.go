package bundle

import (
	"encoding/json"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// The formats of an image. SageMaker's endpoints take Docker's only.
const (
	formDocker = "docker" // Docker schema 2, one platform
	formOCI    = "oci"    // OCI manifest, one platform
	formIndex  = "index"  // OCI index over one OCI manifest for each platform
)

// form is a format's media types.
type form struct {
	name                    string
	manifest, config, layer types.MediaType
	layers                  map[types.MediaType]types.MediaType // those of a base → those of the format
}

func formOf(name string) (form, error) {
	switch name {
	case "", formDocker:
		return form{
			name: formDocker, manifest: types.DockerManifestSchema2, config: types.DockerConfigJSON, layer: types.DockerLayer,
			layers: dockerTypes,
		}, nil
	case formOCI, formIndex:
		return form{
			name: name, manifest: types.OCIManifestSchema1, config: types.OCIConfigJSON, layer: types.OCILayer,
			layers: ociTypes,
		}, nil
	}
	return form{}, fault.Newf(fault.Usage, "package in format %q: wanted docker, oci or index", name)
}

// dockerTypes are the Docker forms of layers that a base may have.
var dockerTypes = map[types.MediaType]types.MediaType{
	types.OCILayer:                types.DockerLayer,
	types.DockerLayer:             types.DockerLayer,
	types.OCIUncompressedLayer:    types.DockerUncompressedLayer,
	types.DockerUncompressedLayer: types.DockerUncompressedLayer,
	types.DockerForeignLayer:      types.DockerForeignLayer,
}

// ociTypes are the OCI forms of layers that a base may have.
var ociTypes = map[types.MediaType]types.MediaType{
	types.OCILayer:                       types.OCILayer,
	types.DockerLayer:                    types.OCILayer,
	types.OCIUncompressedLayer:           types.OCIUncompressedLayer,
	types.DockerUncompressedLayer:        types.OCIUncompressedLayer,
	types.DockerForeignLayer:             types.OCIRestrictedLayer,
	types.OCIRestrictedLayer:             types.OCIRestrictedLayer,
	types.OCILayerZStd:                   types.OCILayerZStd,
	types.OCIUncompressedRestrictedLayer: types.OCIUncompressedRestrictedLayer,
}

// convert gives the base's layers the format's media types: the bytes stay, so
// nothing is fetched.
func (f form) convert(ref string, layers []v1.Descriptor) ([]v1.Descriptor, error) {
	var converted []v1.Descriptor
	for _, layer := range layers {
		mediaType, ok := f.layers[layer.MediaType]
		if !ok && f.name == formDocker {
			return nil, fault.Newf(fault.Repository, "read base image %s: a layer is %s, which Docker's format cannot hold", ref, layer.MediaType).
				Hintf("choose an image.base with gzip layers")
		}
		if !ok {
			return nil, fault.Newf(fault.Repository, "read base image %s: a layer is %s, wanted one of Docker's or OCI's", ref, layer.MediaType).
				Hintf("choose another image.base")
		}
		converted = append(converted, v1.Descriptor{MediaType: mediaType, Size: layer.Size, Digest: layer.Digest, URLs: layer.URLs})
	}
	return converted, nil
}

// describe writes configuration and manifest.
func (l *newLayout) describe(a plan.Package, from base, layers []blob) (built, error) {
	form, err := formOf(a.Format)
	if err != nil {
		return built{}, err
	}
	file := configFor(a, from, layers)
	text, err := json.Marshal(file)
	if err != nil {
		return built{}, err
	}
	config, err := l.document(form.config, text)
	if err != nil {
		return built{}, diskFault("write "+a.Layout, err)
	}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: form.manifest, Config: config, Layers: []v1.Descriptor{}}
	manifest.Layers = append(manifest.Layers, from.layers...)
	for _, layer := range layers {
		manifest.Layers = append(manifest.Layers, v1.Descriptor{MediaType: form.layer, Size: layer.Size, Digest: layer.Digest})
	}
	if form.name != formDocker {
		manifest.Annotations = annotations(file)
	}
	if text, err = json.Marshal(manifest); err != nil {
		return built{}, err
	}
	root, err := l.document(form.manifest, text)
	if err != nil {
		return built{}, diskFault("write "+a.Layout, err)
	}
	size := root.Size + config.Size
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	root.Platform = &v1.Platform{OS: file.OS, Architecture: file.Architecture, Variant: file.Variant}
	return built{root: root, size: size, from: from, layers: layers}, nil
}

// annotations repeat on a manifest what the labels say of the image. Docker's
// manifests have none.
func annotations(file *v1.ConfigFile) map[string]string {
	said := map[string]string{"org.opencontainers.image.created": file.Created.UTC().Format("2006-01-02T15:04:05Z")}
	for name, value := range file.Config.Labels {
		if strings.HasPrefix(name, "org.opencontainers.image.") {
			said[name] = value
		}
	}
	return said
}

// root describes what the layout's index names: the image, or an index of them.
func (l *newLayout) root(a plan.Package, form form, images []built) (root v1.Descriptor, size int64, err error) {
	root = images[0].root
	for _, image := range images {
		size += image.size
	}
	if form.name == formIndex {
		index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
		for _, image := range images {
			index.Manifests = append(index.Manifests, image.root)
		}
		text, err := json.Marshal(index)
		if err != nil {
			return root, 0, err
		}
		if root, err = l.document(types.OCIImageIndex, text); err != nil {
			return root, 0, err
		}
		size += root.Size
	}
	root.Annotations = map[string]string{refName: strings.ToLower(a.Model)}
	return root, size, nil
}
