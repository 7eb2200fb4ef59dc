package e2e_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const componentProject = "towline/towline"

// ourGitLab is a GitLab that holds this project.
func ourGitLab() *gitlab {
	return &gitlab{
		projects:  map[string]string{componentProject: ".."},
		variables: map[string]string{"CI_PROJECT_PATH": componentProject, "CI_COMMIT_SHA": strings.Repeat("a", 40)},
	}
}

// templates are the names of the components.
func templates(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../templates/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d templates: %v", len(files), err)
	}
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".yml"))
	}
	return names
}

func headerOf(t *testing.T, name string) spec {
	t.Helper()
	text, err := os.ReadFile("../templates/" + name + ".yml")
	if err != nil {
		t.Fatal(err)
	}
	header, _, err := splitSpec(text)
	if err != nil {
		t.Fatal(err)
	}
	return header
}

// samples are values of the inputs that a user must give.
var samples = tree{"env": "prod", "project": "platform/models"}

// combinations are all that a user may choose: every option of every input
// with every option of the others, with a prefix and without.
func combinations(header spec) []tree {
	all := []tree{{}}
	for _, name := range slices.Sorted(maps.Keys(header.Spec.Inputs)) {
		key := header.Spec.Inputs[name]
		choices := key.Options
		switch {
		case key.Type == "boolean":
			choices = []any{true, false}
		case name == "prefix":
			choices = []any{"", "fraud-"}
		case name == "trigger":
			choices = []any{"", "platform/staging"}
		case name == "fail-on" || name == "tier" || name == "profile":
			choices = choices[:2] // they are alike
		case samples[name] != nil:
			choices = []any{samples[name]}
		case len(choices) == 0:
			continue
		}
		var more []tree
		for _, given := range all {
			for _, choice := range choices {
				with := maps.Clone(given)
				with[name] = choice
				more = append(more, with)
			}
		}
		all = more
	}
	return all
}

func ciSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("testdata", "gitlab-ci.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// hidden jobs that are not extended hold parts that are no jobs by themselves.
func visible(config tree) tree {
	all := tree{}
	for name, part := range config {
		if !strings.HasPrefix(name, ".") {
			all[name] = part
		}
	}
	return all
}

// Every component, with every combination of what its inputs offer, is a
// pipeline that GitLab takes, and whose commands there are.
func TestComponentsRender(t *testing.T) {
	schema := ciSchema(t)
	for _, name := range templates(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := combinations(headerOf(t, name))
			for _, inputs := range all {
				g := ourGitLab()
				config, err := g.render(componentProject, "/templates/"+name+".yml", inputs)
				if err != nil {
					t.Fatalf("%v: %v", inputs, err)
				}
				if err := schema.Validate(any(visible(withExtends(t, config)))); err != nil {
					t.Fatalf("%v: %v", inputs, err)
				}
				for _, problem := range examine(config, gitlabStages) {
					t.Errorf("%v: %s", inputs, problem)
				}
				if t.Failed() {
					return
				}
			}
			t.Logf("%d combinations", len(all))
		})
	}
}

// withExtends is the configuration with each job written out.
func withExtends(t *testing.T, config tree) tree {
	t.Helper()
	all, err := jobs(config)
	if err != nil {
		t.Fatal(err)
	}
	whole := tree{}
	for name, job := range all {
		whole[name] = job
	}
	return whole
}

// What a component brings is called by its prefix, so that two of them live
// beside each other, and it sets nothing for the jobs of others.
func TestComponentsKeepToThemselves(t *testing.T) {
	for _, name := range templates(t) {
		inputs := maps.Clone(samples)
		for key := range inputs {
			if headerOf(t, name).Spec.Inputs[key] == nil {
				delete(inputs, key)
			}
		}
		first := rendered(t, name, merge(inputs, tree{"prefix": "one-"}))
		second := rendered(t, name, merge(inputs, tree{"prefix": "two-"}))
		for key := range first {
			if !strings.HasPrefix(strings.TrimPrefix(key, "."), "one-") {
				t.Errorf("%s has %s, which does not begin with the prefix", name, key)
			}
			if _, both := second[key]; both {
				t.Errorf("%s included twice has %s twice", name, key)
			}
		}
		for _, job := range []string{name, "plan", "trigger"} {
			if _, ok := first["one-"+job]; ok && first[".one-"+job] == nil {
				t.Errorf("%s has no hidden job .%s to extend", name, job)
			}
		}
	}
}

func rendered(t *testing.T, name string, inputs tree) tree {
	t.Helper()
	config, err := ourGitLab().render(componentProject, "/templates/"+name+".yml", inputs)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

var thin = regexp.MustCompile(`(?m)^\s*(- \|[-+]?|script: \|[-+]?)$`)

// Components are thin: what they do, towline does.
func TestComponentsHoldNoLogic(t *testing.T) {
	for _, name := range templates(t) {
		text, err := os.ReadFile("../templates/" + name + ".yml")
		if err != nil {
			t.Fatal(err)
		}
		if at := thin.Find(text); at != nil {
			t.Errorf("%s: a script of several lines: %s", name, at)
		}
		if bytes.Contains(text, []byte("latest")) {
			t.Errorf("%s: names a floating version", name)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if strings.Contains(line, "- towline ") && strings.Contains(line, "$[[") {
				t.Errorf("%s:%d: an input goes into a script", name, i+1)
			}
		}
		for key, input := range headerOf(t, name).Spec.Inputs {
			if input.Description == "" {
				t.Errorf("%s: input %s has no description", name, key)
			}
			if input.Type == "" && input.Regex == "" && len(input.Options) == 0 && !slices.Contains(freeInputs, key) {
				t.Errorf("%s: input %s takes anything", name, key)
			}
		}
	}
}

// freeInputs are those whose values GitLab itself checks.
var freeInputs = []string{"stage", "build-stage", "check-stage", "release-stage", "image", "environment", "aud"}

// An input that is wrong is refused before anything runs.
func TestComponentsRefuseWrongInputs(t *testing.T) {
	for _, tt := range []struct {
		name   string
		file   string
		inputs tree
		want   string
	}{
		{"no environment", "deploy", tree{}, "input env: a value is required"},
		{"an unknown input", "lint", tree{"colour": "red"}, "unknown input colour"},
		{"an option that there is not", "gate", tree{"env": "prod", "refusal": "ignore"}, "ignore is none of [fail warn]"},
		{"a command in the name of a model", "train", tree{"env": "prod", "model": "a; rm -rf /"}, "does not match"},
		{"a text for an array", "test", tree{"rules": "always"}, "always is no array"},
		{"a prefix with capitals", "version", tree{"prefix": "Fraud-"}, "does not match"},
		{"a wrong value further in", "model-pipeline", tree{"env": "Prod!"}, "does not match"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ourGitLab().render(componentProject, "/templates/"+tt.file+".yml", tt.inputs)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// Included as a component, from a project, or as a file of the own project a
// component is the same.
func TestComponentsInAllThreeWays(t *testing.T) {
	g := ourGitLab()
	g.projects["fraud/model"] = t.TempDir()
	if err := os.CopyFS(filepath.Join(g.projects["fraud/model"], "templates"), os.DirFS("../templates")); err != nil {
		t.Fatal(err)
	}
	for _, name := range templates(t) {
		inputs := "{prefix: a-"
		for key, value := range samples {
			if headerOf(t, name).Spec.Inputs[key] != nil {
				inputs += fmt.Sprintf(", %s: %v", key, value)
			}
		}
		var first tree
		for _, include := range []string{
			"component: $CI_SERVER_FQDN/towline/towline/" + name + "@1.2.3",
			"project: towline/towline\n    ref: 1.2.3\n    file: /templates/" + name + ".yml",
			"local: /templates/" + name + ".yml",
		} {
			config, err := g.renderText("fraud/model", ".gitlab-ci.yml", []byte("include:\n  - "+include+"\n    inputs: "+inputs+"}\n"), nil)
			if err != nil {
				t.Fatalf("%s: %v", include, err)
			}
			if first == nil {
				first = config
			}
			if diff := cmp.Diff(first, config); diff != "" {
				t.Errorf("%s differs: %s", include, diff)
			}
		}
	}
}
