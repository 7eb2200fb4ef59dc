package bundle_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	digests "github.com/opencontainers/go-digest"
	spec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/evidence"
	"gitlab.com/towline/towline/pkg/plan"
)

// rules are the JSON schemas of the OCI image specification, which its Go module carries.
type rules map[string]*jsonschema.Schema

func readRules(t *testing.T) rules {
	t.Helper()
	folder, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/opencontainers/image-spec").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(folder)), "schema", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no schemas in %s: %v", folder, err)
	}
	compiler := jsonschema.NewCompiler()
	for _, file := range files {
		document := parsed(t, file)
		for _, below := range []string{"", "image/", "image/descriptor/"} { // from where one refers to another
			if err := compiler.AddResource("https://opencontainers.org/schema/"+below+filepath.Base(file), document); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := rules{}
	for kind, file := range map[string]string{
		spec.MediaTypeImageManifest: "image-manifest-schema.json", spec.MediaTypeImageIndex: "image-index-schema.json",
		spec.MediaTypeImageConfig: "config-schema.json", spec.MediaTypeLayoutHeader: "image-layout-schema.json",
	} {
		if all[kind], err = compiler.Compile("https://opencontainers.org/schema/image/" + file); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func parsed(t *testing.T, file string) any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return document
}

// hold holds a document against the specification's schema of its kind.
func (r rules) hold(t *testing.T, kind string, text []byte) {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := r[kind].Validate(document); err != nil {
		t.Errorf("%s: %v\n%s", kind, err, text)
	}
}

// The documents of the OCI formats keep to the specification's own schemas; the
// configuration and the layout do so in every format.
func TestDocumentsKeepToTheSpecification(t *testing.T) {
	rules := readRules(t)
	for _, format := range []string{"docker", "oci", "index"} {
		for _, base := range []string{"scratch", "registry"} {
			t.Run(format+" on "+base, func(t *testing.T) {
				o, address := serve(t, options(t), nil)
				a := action(t, repository(t))
				a.Format = format
				a.Labels = map[string]string{spec.AnnotationSource: "https://gitlab.example.com/shop/url-risk", spec.AnnotationRevision: "abc"}
				if base == "registry" {
					publish(t, address, "lib/python:3.11", baseImage(t, hostPlatform))
					a.Base = stableName + "/lib/python:3.11"
				}
				pack(t, o, a)
				rules.holdLayout(t, a.Layout)
				root, text := openDocument(t, a.Layout, rootOf(t, a.Layout))
				if format == "index" {
					rules.hold(t, spec.MediaTypeImageIndex, []byte(text))
				}
				for _, image := range images(t, format, root, text) {
					manifest, text := openDocument(t, a.Layout, image)
					if format != "docker" {
						rules.hold(t, spec.MediaTypeImageManifest, []byte(text))
					}
					if fault := unfitForECR([]byte(text)); fault != "" {
						t.Errorf("ECR refuses the manifest: %s", fault)
					}
					rules.hold(t, spec.MediaTypeImageConfig, blobText(t, a.Layout, manifest.Config.Digest))
					annotated(t, format, base, manifest)
				}
			})
		}
	}
	for kind, text := range map[string]string{
		spec.MediaTypeImageManifest: `{"schemaVersion": 2, "config": {"mediaType": "a/b", "digest": "sha256:x", "size": -1}, "layers": []}`,
		spec.MediaTypeImageIndex:    `{"schemaVersion": 1, "manifests": []}`,
		spec.MediaTypeImageConfig:   `{"os": "linux", "architecture": "amd64"}`,
		spec.MediaTypeLayoutHeader:  `{}`,
	} {
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if rules[kind].Validate(document) == nil {
			t.Errorf("the schema of %s lets anything pass", kind)
		}
	}
}

func (r rules) holdLayout(t *testing.T, folder string) {
	t.Helper()
	for file, kind := range map[string]string{spec.ImageLayoutFile: spec.MediaTypeLayoutHeader, spec.ImageIndexFile: spec.MediaTypeImageIndex} {
		text, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		r.hold(t, kind, text)
	}
	blobs, err := filepath.Glob(filepath.Join(folder, spec.ImageBlobsDir, "sha256", "*"))
	if err != nil || len(blobs) < 3 {
		t.Fatalf("%d blobs, %v", len(blobs), err)
	}
	for _, file := range blobs {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := digests.FromBytes(text).Encoded(); got != filepath.Base(file) {
			t.Errorf("blob %s has the content of %s", filepath.Base(file), got)
		}
	}
}

func blobText(t *testing.T, folder, digest string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, spec.ImageBlobsDir, "sha256", strings.TrimPrefix(digest, "sha256:")))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// annotated checks that an OCI manifest says in its annotations what its
// configuration says in labels, and one of Docker, which has none, says nothing.
func annotated(t *testing.T, format, base string, m opened) {
	t.Helper()
	want := []string{spec.AnnotationSource, spec.AnnotationRevision}
	if base == "registry" {
		want = append(want, spec.AnnotationBaseImageName, spec.AnnotationBaseImageDigest)
	}
	for _, name := range want {
		if (m.Annotations[name] != "") != (format != "docker") {
			t.Errorf("annotation %s is %q in format %s", name, m.Annotations[name], format)
		}
	}
}

// What lies beside an image are OCI manifests whose subject is that image, as
// artifacts ought to be; a registry that cannot list them gets an index under a tag.
func TestReferrersKeepToTheSpecification(t *testing.T) {
	rules := readRules(t)
	for _, tt := range []struct {
		name    string
		listing bool
	}{{"a registry that lists referrers", true}, {"a registry that needs a tag", false}} {
		t.Run(tt.name, func(t *testing.T) {
			start := serve
			if tt.listing {
				start = serveReferrers
			}
			put := map[string][]byte{}
			o, address := start(t, warm(t), func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
					text, _ := io.ReadAll(r.Body)
					r.Body = io.NopCloser(bytes.NewReader(text))
					put[path.Base(r.URL.Path)] = text
				}
				return false
			})
			a := published(t, o, action(t, repository(t)))
			for name := range put {
				delete(put, name)
			}
			attest(t, o, a, signingKey(t))
			tag := strings.Replace(a.Digest.String(), ":", "-", 1)
			if index, tagged := put[tag]; tagged == tt.listing {
				t.Errorf("the tag %s was put: %t", tag, tagged)
			} else if tagged {
				rules.holdFallback(t, index, put)
				delete(put, tag)
			}
			subject := fetched(t, address, a.Digest.String())
			var kinds []string
			for name, text := range put {
				if !strings.HasPrefix(name, "sha256:") {
					t.Errorf("the tag %s was put", name)
					continue
				}
				rules.hold(t, spec.MediaTypeImageManifest, text)
				if fault := unfitForECR(text); fault != "" {
					t.Errorf("ECR refuses it: %s", fault)
				}
				kinds = append(kinds, checkReferrer(t, text, subject))
			}
			slices.Sort(kinds)
			if want := slices.Sorted(slices.Values(evidence.Types())); !slices.Equal(kinds, want) {
				t.Errorf("artifacts %v, want %v", kinds, want)
			}
		})
	}
}

// checkReferrer gives the artifact type of a manifest about an image.
func checkReferrer(t *testing.T, text []byte, subject spec.Descriptor) string {
	t.Helper()
	var m spec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if m.MediaType != spec.MediaTypeImageManifest || m.SchemaVersion != 2 {
		t.Errorf("it is %s of schema %d", m.MediaType, m.SchemaVersion)
	}
	if m.Config.MediaType != spec.MediaTypeEmptyJSON || m.Config.Digest != spec.DescriptorEmptyJSON.Digest || m.Config.Size != 2 {
		t.Errorf("its configuration is %+v, want the empty one", m.Config)
	}
	if m.Subject == nil || m.Subject.Digest != subject.Digest || m.Subject.Size != subject.Size || m.Subject.MediaType != subject.MediaType {
		t.Errorf("its subject is %+v, want %+v", m.Subject, subject)
	}
	if len(m.Layers) != 1 || m.Layers[0].MediaType != m.ArtifactType {
		t.Errorf("its layers are %+v, want one of %s", m.Layers, m.ArtifactType)
	}
	return m.ArtifactType
}

// holdFallback checks the index that stands for the list of referrers.
func (r rules) holdFallback(t *testing.T, text []byte, put map[string][]byte) {
	t.Helper()
	r.hold(t, spec.MediaTypeImageIndex, text)
	var index spec.Index
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Manifests) != 3 {
		t.Errorf("the index names %d manifests, want 3", len(index.Manifests))
	}
	for _, d := range index.Manifests {
		text := put[d.Digest.String()]
		if int64(len(text)) != d.Size || digests.FromBytes(text) != d.Digest || !slices.Contains(evidence.Types(), d.ArtifactType) {
			t.Errorf("the index names %+v, which was not put so", d)
		}
	}
}

// fetched is what a registry itself says of a manifest.
func fetched(t *testing.T, address, digest string) spec.Descriptor {
	t.Helper()
	answer, err := http.Get("http://" + address + "/v2/shop/url-risk/manifests/" + digest)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", digest, answer.Status, err)
	}
	return spec.Descriptor{MediaType: answer.Header.Get("Content-Type"), Digest: digests.FromBytes(text), Size: int64(len(text))}
}

// An index is pushed with documents that keep to the schemas too.
func TestAnIndexOfTwoPlatformsKeepsToTheSpecification(t *testing.T) {
	rules := readRules(t)
	a := action(t, repository(t))
	a.Format, a.Platform = "index", "linux/amd64"
	a.Variants = []plan.Variant{{Base: bundle.Scratch, Platform: "linux/arm64/v8"}}
	pack(t, options(t), a)
	rules.holdLayout(t, a.Layout)
	root, text := openDocument(t, a.Layout, rootOf(t, a.Layout))
	rules.hold(t, spec.MediaTypeImageIndex, []byte(text))
	if len(root.Manifests) != 2 || root.Manifests[1].Platform["variant"] != "v8" {
		t.Errorf("the index names %+v, want two platforms", root.Manifests)
	}
	for _, d := range root.Manifests {
		image, text := openDocument(t, a.Layout, d)
		rules.hold(t, spec.MediaTypeImageManifest, []byte(text))
		rules.hold(t, spec.MediaTypeImageConfig, blobText(t, a.Layout, image.Config.Digest))
	}
}
