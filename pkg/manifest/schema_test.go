package manifest_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"gitlab.com/towline/towline/pkg/manifest"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(manifest.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(manifest.SchemaFile, document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile(manifest.SchemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// instance turns YAML into what a JSON Schema is held against. A document that
// JSON cannot express is no valid one, so it gives nil.
func instance(t *testing.T, text []byte) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		return nil
	}
	plain, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestSchemaAcceptsWhatTheLoaderAccepts(t *testing.T) {
	compiled := compileSchema(t)
	examples, err := filepath.Glob("../../examples/*/" + manifest.File)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(examples, "testdata/full.yaml", "testdata/least.yaml") {
		load(t, file)
		if err := compiled.Validate(instance(t, read(t, file))); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestSchemaRefusesWhatOneKeyShows(t *testing.T) {
	compiled := compileSchema(t)
	full := string(read(t, "testdata/full.yaml"))
	for _, tt := range invalid {
		text := strings.Replace(full, tt.old, tt.text, 1)
		err := compiled.Validate(instance(t, []byte(text)))
		if refused := err != nil; refused != tt.schema {
			t.Errorf("%s: the schema says %v, wanted a refusal: %v", tt.name, err, tt.schema)
		}
	}
}

func TestSchemaLeavesNoMapOpen(t *testing.T) {
	var walk func(path string, node any)
	walk = func(path string, node any) {
		switch node := node.(type) {
		case map[string]any:
			if _, ok := node["properties"].(map[string]any); ok && path != "/properties" && node["additionalProperties"] != false {
				t.Errorf("%s takes unknown keys", path)
			}
			for name, child := range node {
				walk(path+"/"+name, child)
			}
		case []any:
			for _, child := range node {
				walk(path, child)
			}
		}
	}
	var document any
	if err := json.Unmarshal(manifest.Schema(), &document); err != nil {
		t.Fatal(err)
	}
	walk("", document)
}

func TestSchemaIsACopy(t *testing.T) {
	manifest.Schema()[0] = 'x'
	onDisk, err := os.ReadFile(manifest.SchemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(manifest.Schema(), onDisk) {
		t.Error("Schema() is not what lies in the folder")
	}
}
