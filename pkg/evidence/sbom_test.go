package evidence_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"gitlab.com/towline/towline/pkg/evidence"
)

const (
	image = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	other = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
)

func contents() evidence.Contents {
	return evidence.Contents{
		Image: image, Name: "shop/url-risk", Version: "1.2.3-cand.4", Platform: "linux/amd64",
		Base: "registry.example.com/python@" + other, InputFile: "requirements.txt", Tool: "0.1.0",
		Distributions: []evidence.Distribution{
			{Name: "scipy", Version: "1.0", Licences: []string{"BSD-3-Clause AND MIT"}, SPDX: true, Requires: []string{"numpy", "absent"}, Layer: other},
			{Name: "numpy", Version: "2.0", Licences: []string{"BSD License", "Other"}, Record: strings.Repeat("c", 64), Wheel: strings.Repeat("d", 64)},
			{Name: "numpy", Version: "2.0"},
			{Name: "bare", Version: "0"},
		},
	}
}

// schema is CycloneDX's own, which its Go module carries.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	folder, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	for file, address := range map[string]string{
		"bom-1.6.schema.json":   "http://cyclonedx.org/schema/bom-1.6.schema.json",
		"spdx.schema.json":      "http://cyclonedx.org/schema/spdx.schema.json",
		"jsf-0.82.schemax.json": "http://cyclonedx.org/schema/jsf-0.82.schema.json",
	} {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(folder)), "schema", file))
		if err != nil {
			t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(address, document); err != nil {
			t.Fatal(err)
		}
	}
	compiled, err := compiler.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestTheBillOfMaterialsKeepsToItsSchema(t *testing.T) {
	rules := schema(t)
	bare := evidence.Contents{Image: image, Name: "p/m", Base: "scratch"}
	for name, c := range map[string]evidence.Contents{"a full one": contents(), "an empty one": bare} {
		text, err := evidence.SBOM(c)
		if err != nil {
			t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := rules.Validate(document); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	broken, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "moon"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if rules.Validate(broken) == nil {
		t.Error("the schema lets anything pass")
	}
}

func TestTheBillOfMaterials(t *testing.T) {
	text, err := evidence.SBOM(contents())
	if err != nil {
		t.Fatal(err)
	}
	again := contents()
	again.Distributions[0], again.Distributions[1] = again.Distributions[1], again.Distributions[0]
	if same, err := evidence.SBOM(again); err != nil || !bytes.Equal(text, same) {
		t.Errorf("another order gives another bill of materials, %v", err)
	}
	again.Distributions[0].Version = "2.1"
	if changed, err := evidence.SBOM(again); err != nil || bytes.Equal(text, changed) {
		t.Errorf("another version gives the same bill of materials, %v", err)
	}
	for _, part := range []string{
		`"purl": "pkg:pypi/numpy@2.0"`, `"expression": "BSD-3-Clause AND MIT"`, `"name": "BSD License"`,
		`"purl": "pkg:oci/url-risk@sha256%3A1111`, `?repository_url=registry.example.com%2Fpython"`,
		`"gitlab:meta:schema_version"`, `"towline:layer"`, `"content": "dddd`,
	} {
		if !strings.Contains(string(text), part) {
			t.Errorf("the bill of materials lacks %s:\n%s", part, text)
		}
	}
	if n := strings.Count(string(text), `"bom-ref": "pkg:pypi/numpy@2.0"`); n != 1 {
		t.Errorf("numpy is named %d times, want once", n)
	}
	var bom struct {
		Dependencies []struct {
			Ref       string   `json:"ref"`
			DependsOn []string `json:"dependsOn"`
		} `json:"dependencies"`
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	for _, d := range bom.Dependencies {
		if d.Ref == "pkg:pypi/scipy@1.0" && (len(d.DependsOn) != 1 || d.DependsOn[0] != "pkg:pypi/numpy@2.0") {
			t.Errorf("scipy depends on %v, want numpy", d.DependsOn)
		}
		if d.Ref == image && len(d.DependsOn) != 4 {
			t.Errorf("the image depends on %v, want the base and three distributions", d.DependsOn)
		}
	}
}

func TestBillsOfMaterialsReadTheSameInTheReferenceLibrary(t *testing.T) {
	sbom, err := evidence.SBOM(contents())
	if err != nil {
		t.Fatal(err)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(sbom), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := cdx.NewBOMEncoder(&again, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(&bom); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(sbom), again.String()); diff != "" {
		t.Errorf("decoded and encoded again, by CycloneDX's own library (-ours +theirs):\n%s", diff)
	}
}
