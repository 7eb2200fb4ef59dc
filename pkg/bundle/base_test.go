package bundle_test

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

// baseImage is an OCI image for a platform, of two layers, with what a base brings along.
func baseImage(t *testing.T, platform string) v1.Image {
	t.Helper()
	img := empty.Image
	for range 2 {
		layer, err := random.Layer(5000, types.OCILayer)
		if err != nil {
			t.Fatal(err)
		}
		img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "base"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, _ = strings.Cut(platform, "/")
	config.Config = v1.Config{
		Env:        []string{"PATH=/opt/conda/bin:/bin", "LANG=C.UTF-8", "PYTHONPATH=/opt/vendor"},
		Entrypoint: []string{"/bin/tini"}, Cmd: []string{"sh"}, User: "nobody",
		Labels: map[string]string{"org.opencontainers.image.version": "22.04", "com.amazonaws.sagemaker.capabilities.multi-models": "true"},
	}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
}

// baseIndex is an image for two platforms, with the attestations that builders add.
func baseIndex(t *testing.T) (index v1.ImageIndex, amd64 v1.Image) {
	t.Helper()
	amd64 = baseImage(t, "linux/amd64")
	index = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, add := range []struct {
		img      v1.Image
		platform v1.Platform
	}{
		{baseImage(t, "linux/arm64"), v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}},
		{baseImage(t, "unknown/unknown"), v1.Platform{OS: "unknown", Architecture: "unknown"}},
		{amd64, v1.Platform{OS: "linux", Architecture: "amd64"}},
	} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: add.img, Descriptor: v1.Descriptor{Platform: &add.platform}})
	}
	return index, amd64
}

func digestOf(t *testing.T, of interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	digest, err := of.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

// publish puts an image into the registry at address.
func publish(t *testing.T, address, ref string, what remote.Taggable) {
	t.Helper()
	reference, err := name.ParseReference(address + "/" + ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Push(reference, what); err != nil {
		t.Fatal(err)
	}
}

// requests writes down what a registry is asked for.
type requests struct {
	mu   sync.Mutex
	list []string
}

func (s *requests) see(_ http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, r.Method+" "+r.URL.Path)
	return false
}

func (s *requests) count(method, part string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.list {
		if strings.HasPrefix(line, method+" ") && strings.Contains(line, part) {
			n++
		}
	}
	return n
}

func onBase(t *testing.T, base string) plan.Package {
	t.Helper()
	a := action(t, repository(t))
	a.Base, a.Platform = base, "linux/amd64"
	return a
}

func TestAnImageOnABaseFromARegistry(t *testing.T) {
	var seen requests
	o, address := serve(t, options(t), seen.see)
	index, amd64 := baseIndex(t)
	publish(t, address, "library/python:3.11", index)
	ref := stableName + "/library/python:3.11"
	pinned := stableName + "/library/python@" + digestOf(t, amd64)

	if got, err := bundle.New(o).ResolveBase(context.Background(), ref, "linux/amd64"); err != nil || got != pinned {
		t.Errorf("ResolveBase() = %s, %v, want %s", got, err, pinned)
	}
	seen.list = nil
	a := onBase(t, ref)
	receipt := pack(t, o, a)
	if got := receipt.Section.(record.Image).Base; got != pinned {
		t.Errorf("base in the record is %s, want %s", got, pinned)
	}
	if n := seen.count("GET", "/blobs/"); n != 1 {
		t.Errorf("packaging read %d blobs of the base, want its configuration alone: %q", n, seen.list)
	}

	_, manifest, config := readManifest(t, a.Layout)
	baseManifest, err := amd64.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for i, layer := range manifest.Layers {
		if layer.MediaType != types.DockerLayer {
			t.Errorf("layer %d is %s, want Docker's type throughout", i, layer.MediaType)
		}
		if i < 2 && layer.Digest != baseManifest.Layers[i].Digest {
			t.Errorf("layer %d is %s, want the base's %s", i, layer.Digest, baseManifest.Layers[i].Digest)
		}
	}
	wantEnv := []string{
		"PATH=/opt/towline/bin:/opt/conda/bin:/bin:/opt/towline/lib/bin", "PYTHONPATH=/opt/program:/opt/towline/lib:/opt/vendor",
		"PYTHONUNBUFFERED=1", "LANG=C.UTF-8",
	}
	if diff := cmp.Diff(wantEnv, config.Config.Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	wantLabels := map[string]string{
		"com.amazonaws.sagemaker.capabilities.multi-models": "true", "com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true",
		"org.opencontainers.image.base.name":   ref,
		"org.opencontainers.image.base.digest": digestOf(t, amd64), "org.opencontainers.image.revision": "abc",
		"org.towline.layout": bundle.LayoutVersion, "org.towline.python": "3.11",
	}
	if diff := cmp.Diff(wantLabels, config.Config.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if config.Config.Entrypoint != nil || config.Config.Cmd != nil || config.Config.User != "" {
		t.Errorf("config runs %v %v as %q, want nothing of the base's", config.Config.Entrypoint, config.Config.Cmd, config.Config.User)
	}
	if digest, ok := bundle.LayoutDigest(a.Layout); !ok || digest != receipt.Yields["digest"] {
		t.Errorf("LayoutDigest() = %s, %t, want %s", digest, ok, receipt.Yields["digest"])
	}
}

func TestAPushBringsTheBaseAlongOnlyWhereItLacks(t *testing.T) {
	var seen, other requests
	o, address := serve(t, options(t), seen.see)
	_, second := serve(t, options(t), other.see)
	index, _ := baseIndex(t)
	publish(t, address, "library/python:3.11", index)
	o.Dial["other.localhost"] = second
	a := onBase(t, stableName+"/library/python:3.11")
	digest := pack(t, o, a).Yields["digest"]
	for _, tt := range []struct {
		name, host, address, said string
		fetched                   int
	}{
		{"the base's own registry", stableName, address, "2 layers sent", 0},
		{"another registry", "other.localhost", second, "4 layers sent", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen.list = nil
			push := plan.Push{Layout: a.Layout, Repository: tt.host + "/shop/url-risk", Digest: plan.Text(digest), Tags: []string{"one"}}
			receipt, err := bundle.New(o).Push(context.Background(), push)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(receipt.Said, tt.said) {
				t.Errorf("said %q, want %q", receipt.Said, tt.said)
			}
			if n := seen.count("GET", "/blobs/"); n != tt.fetched {
				t.Errorf("fetched %d blobs of the base, want %d: %q", n, tt.fetched, seen.list)
			}
			reference, err := name.ParseReference(tt.address + "/shop/url-risk:one")
			if err != nil {
				t.Fatal(err)
			}
			img, err := remote.Image(reference)
			if err == nil {
				err = validate.Image(img)
			}
			if err != nil {
				t.Errorf("the pushed image: %v", err)
			}
		})
	}
}

func TestABaseInAnOCILayout(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "base")
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	img := baseImage(t, "linux/amd64")
	if err := path.AppendImage(img); err != nil {
		t.Fatal(err)
	}
	o, _ := serve(t, options(t), nil)
	a := onBase(t, "oci:"+folder)
	receipt := pack(t, o, a)
	if got, want := receipt.Section.(record.Image).Base, "oci:"+folder+"@"+digestOf(t, img); got != want {
		t.Errorf("base in the record is %s, want %s", got, want)
	}
	_, _, config := readManifest(t, a.Layout)
	if name, ok := config.Config.Labels["org.opencontainers.image.base.name"]; ok {
		t.Errorf("the image names the folder %s of this host", name)
	}

	a.Base = receipt.Section.(record.Image).Base // as it was found
	if again := pack(t, o, a); again.Yields["digest"] != receipt.Yields["digest"] {
		t.Errorf("the base by its digest gives %s, want %s", again.Yields["digest"], receipt.Yields["digest"])
	}
	other := onBase(t, "oci:"+folder+"@sha256:"+strings.Repeat("0", 64))
	_, err = bundle.New(o).Package(context.Background(), other)
	wantFault(t, err, fault.Conflict, "the folder holds "+digestOf(t, img), "meanwhile")

	push := plan.Push{Layout: a.Layout, Repository: stableName + "/m", Digest: plan.Text(receipt.Yields["digest"])}
	if receipt, err = bundle.New(o).Push(context.Background(), push); err != nil || !strings.HasPrefix(receipt.Said, "4 layers sent") {
		t.Errorf("Push() = %q, %v, want all four layers sent", receipt.Said, err)
	}
}

func TestABaseThatCannotBeUsed(t *testing.T) {
	o, address := serve(t, options(t), nil)
	index, amd64 := baseIndex(t)
	publish(t, address, "python:3.11", index)
	publish(t, address, "single:1", amd64)
	publish(t, address, "packed:1", zstdImage(t))
	publish(t, address, "deep:1", deepImage(t, 126))
	newer, err := mutate.Config(amd64, v1.Config{Env: []string{"PYTHON_VERSION=3.12.1"}})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, address, "newer:1", newer)
	for _, tt := range []struct {
		name, base, platform string
		kind                 fault.Kind
		want, hint           string
	}{
		{"an unknown name", stableName + "/none:1", "linux/amd64", fault.Missing, "read base image " + stableName + "/none:1:", "image.base"},
		{"an unknown tag", stableName + "/python:3.99", "linux/amd64", fault.Missing, "MANIFEST_UNKNOWN", "image.base"},
		{"no name at all", "Python 3.11", "linux/amd64", fault.Repository, `"Python 3.11" is no image reference`, "image.base"},
		{"an index without the platform", stableName + "/python:3.11", "linux/s390x", fault.Repository,
			"found linux/amd64, linux/arm64/v8, wanted linux/s390x", "image.platforms"},
		{"a single image of another platform", stableName + "/single:1", "linux/arm64", fault.Repository,
			"found linux/amd64, wanted linux/arm64", "image.base"},
		{"layers that Docker's format cannot hold", stableName + "/packed:1", "linux/amd64", fault.Repository, "zstd", "gzip layers"},
		{"too many layers", stableName + "/deep:1", "linux/amd64", fault.Repository, "128 layers, wanted at most 127", "fewer layers"},
		{"another Python", stableName + "/newer:1", "linux/amd64", fault.Repository, "found Python 3.12, wanted 3.11", "image.python"},
		{"a folder that is no layout", "oci:" + t.TempDir(), "linux/amd64", fault.Missing, "index.json", "OCI layout"},
		{"a platform that is none", "scratch", "pdp11", fault.Repository, `platform "pdp11"`, "image.platforms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := onBase(t, tt.base)
			a.Platform = tt.platform
			_, err := bundle.New(o).Package(context.Background(), a)
			wantFault(t, err, tt.kind, tt.want, tt.hint)
		})
	}
}

// An image may have as many layers as a runtime bears, and not one more.
func TestAsManyLayersAsThereMayBe(t *testing.T) {
	o, address := serve(t, options(t), nil)
	publish(t, address, "deep:1", deepImage(t, 125))
	a := onBase(t, stableName+"/deep:1")
	pack(t, o, a)
	if _, manifest, _ := readManifest(t, a.Layout); len(manifest.Layers) != 127 {
		t.Errorf("%d layers, want 127", len(manifest.Layers))
	}
	before := layoutDigest(t, a.Layout)
	weights(t, a.Root, "m.safetensors", 1)
	_, err := bundle.New(o).Package(context.Background(), a)
	wantFault(t, err, fault.Repository, "128 layers, wanted at most 127", "fewer layers")
	if after := layoutDigest(t, a.Layout); after != before {
		t.Errorf("the layout holds %s, want what was there: %s", after, before)
	}
}

func layoutDigest(t *testing.T, folder string) string {
	t.Helper()
	digest, ok := bundle.LayoutDigest(folder)
	if !ok {
		t.Fatalf("no image in %s", folder)
	}
	return digest
}

func zstdImage(t *testing.T) v1.Image {
	t.Helper()
	layer, err := random.Layer(100, types.OCILayerZStd)
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.Append(baseImage(t, "linux/amd64"), mutate.Addendum{Layer: layer, MediaType: types.OCILayerZStd})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func deepImage(t *testing.T, layers int) v1.Image {
	t.Helper()
	img := baseImage(t, "linux/amd64")
	var more []v1.Layer
	for range layers - 2 {
		layer, err := random.Layer(10, types.OCILayer)
		if err != nil {
			t.Fatal(err)
		}
		more = append(more, layer)
	}
	img, err := mutate.AppendLayers(img, more...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// A variant that is asked for is taken; one that is not asked for does no harm.
func TestPlatformsWithVariants(t *testing.T) {
	o, address := serve(t, options(t), nil)
	index, _ := baseIndex(t)
	publish(t, address, "python:3.11", index)
	var pinned []string
	for _, platform := range []string{"linux/arm64", "linux/arm64/v8"} {
		got, err := bundle.New(o).ResolveBase(context.Background(), stableName+"/python:3.11", platform)
		if err != nil {
			t.Errorf("ResolveBase(%s): %v", platform, err)
		}
		pinned = append(pinned, got)
	}
	if len(slices.Compact(pinned)) != 1 {
		t.Errorf("ResolveBase() = %q, want the same image twice", pinned)
	}
	_, err := bundle.New(o).ResolveBase(context.Background(), stableName+"/python:3.11", "linux/arm64/v9")
	wantFault(t, err, fault.Repository, "wanted linux/arm64/v9", "image.platforms")
	if got, err := bundle.New(o).ResolveBase(context.Background(), "scratch", hostPlatform); err != nil || got != "scratch" {
		t.Errorf("ResolveBase(scratch) = %s, %v", got, err)
	}
}
