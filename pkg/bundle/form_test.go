package bundle_test

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// document is a manifest or an index, read without the library that writes them.
type document struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        *blobOf           `json:"config"`
	Layers        []blobOf          `json:"layers"`
	Manifests     []blobOf          `json:"manifests"`
	Annotations   map[string]string `json:"annotations"`
}

type blobOf struct {
	MediaType string            `json:"mediaType"`
	Size      int64             `json:"size"`
	Digest    string            `json:"digest"`
	Platform  map[string]string `json:"platform"`
}

const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociConfig      = "application/vnd.oci.image.config.v1+json"
	ociLayer       = "application/vnd.oci.image.layer.v1.tar+gzip"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
)

var sha256Digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Manifests keep to the media types and limits of their format, whatever the base is.
func TestEveryFormatKeepsToItsMediaTypes(t *testing.T) {
	for _, tt := range []struct{ format, manifest, config, layer string }{
		{"", dockerManifest, dockerConfig, dockerLayer},
		{"docker", dockerManifest, dockerConfig, dockerLayer},
		{"oci", ociManifest, ociConfig, ociLayer},
		{"index", ociManifest, ociConfig, ociLayer},
	} {
		for _, base := range []string{"scratch", "registry"} {
			t.Run(tt.format+" on "+base, func(t *testing.T) {
				o, address := serve(t, options(t), nil)
				a := action(t, repository(t))
				a.Format = tt.format
				if base == "registry" {
					publish(t, address, "lib/python:3.11", baseImage(t, hostPlatform))
					a.Base = stableName + "/lib/python:3.11"
				}
				weights(t, a.Root, "m.safetensors", 1)
				digest := pack(t, o, a).Yields["digest"]
				root, text := openDocument(t, a.Layout, rootOf(t, a.Layout))
				if root.named.Digest != digest {
					t.Errorf("the layout holds %s, want %s", root.named.Digest, digest)
				}
				for _, image := range images(t, tt.format, root, text) {
					manifest, _ := openDocument(t, a.Layout, image)
					checkImage(t, a.Layout, manifest.document, tt.manifest, tt.config, tt.layer)
				}
			})
		}
	}
}

type opened struct {
	named blobOf
	document
}

func rootOf(t *testing.T, folder string) blobOf {
	t.Helper()
	var index document
	readJSON(t, filepath.Join(folder, "index.json"), &index)
	if len(index.Manifests) != 1 || index.MediaType != ociIndex || index.SchemaVersion != 2 {
		t.Fatalf("index.json is %+v, want an index of one", index)
	}
	return index.Manifests[0]
}

func openDocument(t *testing.T, folder string, d blobOf) (opened, string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "blobs/sha256", strings.TrimPrefix(d.Digest, "sha256:")))
	if err != nil || int64(len(text)) != d.Size {
		t.Fatalf("%s: %d bytes, %v, want %d", d.Digest, len(text), err, d.Size)
	}
	got := opened{named: d}
	if err := json.Unmarshal(text, &got.document); err != nil {
		t.Fatal(err)
	}
	if got.MediaType != d.MediaType || got.SchemaVersion != 2 {
		t.Errorf("%s says it is %s of schema %d, and is named as %s", d.Digest, got.MediaType, got.SchemaVersion, d.MediaType)
	}
	return got, string(text)
}

// images are what an index names, or the one image.
func images(t *testing.T, format string, root opened, text string) []blobOf {
	t.Helper()
	if format != "index" {
		return []blobOf{root.named}
	}
	if root.MediaType != ociIndex || len(root.Manifests) == 0 {
		t.Fatalf("the root is %s, want an index:\n%s", root.MediaType, text)
	}
	for _, d := range root.Manifests {
		if d.Platform["os"] == "" || d.Platform["architecture"] == "" {
			t.Errorf("%s has no platform in the index", d.Digest)
		}
	}
	return root.Manifests
}

func checkImage(t *testing.T, folder string, m document, manifest, config, layer string) {
	t.Helper()
	if m.MediaType != manifest || m.Config.MediaType != config {
		t.Errorf("manifest %s with config %s, want %s with %s", m.MediaType, m.Config.MediaType, manifest, config)
	}
	if (len(m.Annotations) > 0) != (manifest == ociManifest) {
		t.Errorf("%d annotations in a %s", len(m.Annotations), manifest)
	}
	if n := len(m.Layers); n == 0 || n > 127 {
		t.Errorf("%d layers, want 1 to 127", n)
	}
	for _, l := range m.Layers {
		if l.MediaType != layer || !sha256Digest.MatchString(l.Digest) || l.Size <= 0 || l.Size > 52_000<<20 {
			t.Errorf("layer %+v, want %s", l, layer)
		}
	}
	var file struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
		History []struct {
			Empty bool `json:"empty_layer"`
		} `json:"history"`
		Config struct{ Labels map[string]string } `json:"config"`
	}
	readJSON(t, filepath.Join(folder, "blobs/sha256", strings.TrimPrefix(m.Config.Digest, "sha256:")), &file)
	lines := 0
	for _, line := range file.History {
		if !line.Empty {
			lines++
		}
	}
	if len(file.RootFS.DiffIDs) != len(m.Layers) || lines != len(m.Layers) {
		t.Errorf("%d layers, %d diff ids, %d lines of history", len(m.Layers), len(file.RootFS.DiffIDs), lines)
	}
	if file.Config.Labels["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] != "true" {
		t.Error("no label says that the server binds to the port it is told")
	}
}

// An index holds an image for each platform, and is pushed with all of them.
func TestAnIndexOfTwoPlatforms(t *testing.T) {
	o, address := serve(t, options(t), nil)
	index, _ := baseIndex(t)
	publish(t, address, "lib/python:3.11", index)
	a := onBase(t, stableName+"/lib/python:3.11")
	a.Format = "index"
	a.Variants = []plan.Variant{{Base: a.Base, Platform: "linux/arm64"}}
	receipt := pack(t, o, a)
	push := plan.Push{
		Layout: a.Layout, Repository: stableName + "/shop/url-risk", Digest: plan.Text(receipt.Yields["digest"]), Tags: []string{"1.0.0"},
	}
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Fatal(err)
	}
	reference, err := name.ParseReference(address + "/shop/url-risk:1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := remote.Index(reference)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(pushed); err != nil {
		t.Error(err)
	}
	manifest, err := pushed.IndexManifest()
	if err != nil || len(manifest.Manifests) != 2 {
		t.Errorf("the index names %v, %v, want two images", manifest, err)
	}
}

func TestAFormatThatIsNone(t *testing.T) {
	a := action(t, repository(t))
	a.Format = "tar"
	_, err := bundle.New(options(t)).Package(context.Background(), a)
	wantFault(t, err, fault.Usage, `format "tar"`, "")
}

// An exported image is whole: layers of the base and weights are in it.
func TestAnExportIsWhole(t *testing.T) {
	o, address := serve(t, options(t), nil)
	publish(t, address, "lib/python:3.11", baseImage(t, hostPlatform))
	a := action(t, repository(t))
	a.Base, a.Format = stableName+"/lib/python:3.11", "oci"
	weights(t, a.Root, "m.safetensors", 1)
	digest := pack(t, o, a).Yields["digest"]
	to := filepath.Join(t.TempDir(), "out", "image")
	b := bundle.New(o)
	for range 2 {
		if _, err := b.Export(context.Background(), plan.Export{Layout: a.Layout, To: to, Tag: "1.0.0"}); err != nil {
			t.Fatal(err)
		}
	}
	validLayout(t, to, digest)

	archive := filepath.Join(t.TempDir(), "image.tar")
	if _, err := b.Export(context.Background(), plan.Export{Layout: a.Layout, To: archive, Archive: true, Tag: "1.0.0"}); err != nil {
		t.Fatal(err)
	}
	unpacked := t.TempDir()
	untar(t, unpacked, archive)
	validLayout(t, unpacked, digest)
	if _, err := os.Stat(filepath.Join(unpacked, "manifest.json")); err != nil {
		t.Errorf("nothing for docker load: %v", err)
	}

	weights(t, a.Root, "m.safetensors", 2)
	_, err := b.Export(context.Background(), plan.Export{Layout: a.Layout, To: archive, Archive: true})
	wantFault(t, err, fault.Conflict, "blob sha256:", "changed after it was packaged")
	taken := t.TempDir()
	write(t, taken, map[string]string{"thesis.txt": "the only copy\n"})
	_, err = b.Export(context.Background(), plan.Export{Layout: a.Layout, To: taken})
	wantFault(t, err, fault.Conflict, "no OCI layout", "not there yet")
}

func validLayout(t *testing.T, folder, digest string) {
	t.Helper()
	hash, err := v1.NewHash(digest)
	if err != nil {
		t.Fatal(err)
	}
	image, err := layout.Path(folder).Image(hash)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Error(err)
	}
}

func untar(t *testing.T, to, archive string) {
	t.Helper()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for in := tar.NewReader(file); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		write(t, to, map[string]string{header.Name: string(content)})
	}
}

func TestWhatHasBecomeOfABase(t *testing.T) {
	o, address := serve(t, options(t), nil)
	old := baseImage(t, "linux/amd64")
	publish(t, address, "lib/python:3.11", old)
	ref := stableName + "/lib/python:3.11"
	b := bundle.New(o)
	recorded, err := b.ResolveBase(context.Background(), ref, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	check := func(ref, python, recorded string) bundle.BaseCheck {
		t.Helper()
		found, err := b.CheckBase(context.Background(), ref, "linux/amd64", python, recorded)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if got := check(ref, "3.11", recorded); got.Moved || got.Recorded != digestOf(t, old) {
		t.Errorf("CheckBase() = %+v, want a base that has not moved", got)
	}
	index, _ := baseIndex(t)
	publish(t, address, "lib/python:3.11", index)
	if got := check(ref, "3.11", recorded); !got.Moved {
		t.Errorf("CheckBase() = %+v, want a base that has moved", got)
	}
	if got := check(ref+"@"+digestOf(t, old), "3.11", ""); !got.Moved {
		t.Errorf("CheckBase() of a pinned base = %+v, want its tag to have moved", got)
	}
	newer, err := mutate.Config(old, v1.Config{Env: []string{"PYTHON_VERSION=3.12.1"}})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, address, "lib/python:3.12", newer)
	for python, lacks := range map[string]bool{"3.11": true, "3.12": false} {
		if got := check(stableName+"/lib/python:3.12", python, ""); got.Python != "3.12" || got.Lacks != lacks {
			t.Errorf("CheckBase() for Python %s = %+v, want it to lack that: %t", python, got, lacks)
		}
	}
	if got := check("scratch", "3.11", "scratch"); got.Moved || got.Lacks {
		t.Errorf("CheckBase(scratch) = %+v", got)
	}
}
