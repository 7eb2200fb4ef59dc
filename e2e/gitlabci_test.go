package e2e_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// The pipelines of the examples are what GitLab's editor takes. The schema comes from GitLab itself
// (app/assets/javascripts/editor/schema/ci.json, MIT licence).
func TestPipelinesFitGitLabsSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("testdata", "gitlab-ci.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	pipelines, err := filepath.Glob(filepath.Join("..", "examples", "*", ".gitlab-ci.yml"))
	if err != nil || len(pipelines) == 0 {
		t.Fatalf("found %d examples with a pipeline: %v", len(pipelines), err)
	}
	for _, file := range pipelines {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var pipeline any
		if err := yaml.Unmarshal(text, &pipeline); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if err := schema.Validate(pipeline); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
