package e2e_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// occasions are the pipelines that GitLab makes of a model repository.
func occasions() map[string]occasion {
	branch := func(source string, more ...string) map[string]string {
		variables := map[string]string{
			"CI_PIPELINE_SOURCE": source, "CI_COMMIT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main",
		}
		for i := 0; i+1 < len(more); i += 2 {
			variables[more[i]] = more[i+1]
		}
		return variables
	}
	request := branch("merge_request_event")
	delete(request, "CI_COMMIT_BRANCH")
	tag := branch("push", "CI_COMMIT_TAG", "v1.2.3")
	delete(tag, "CI_COMMIT_BRANCH")
	return map[string]occasion{
		"merge request":            {request, []string{"model/train.py"}},
		"merge request, elsewhere": {request, []string{"docs/a.md"}},
		"main":                     {branch("push"), []string{"model/train.py"}},
		"main, a shared folder":    {branch("push"), []string{"libs/features/x.py"}},
		"main, elsewhere":          {branch("push"), []string{"docs/a.md"}},
		"schedule":                 {branch("schedule"), nil},
		"other branch":             {branch("push", "CI_COMMIT_BRANCH", "idea"), []string{"model/train.py"}},
		"tag":                      {tag, []string{"model/train.py"}},
	}
}

// planned is what runs on an occasion: "job", or "job?" for a button.
func planned(t *testing.T, config tree, o occasion) []string {
	t.Helper()
	all, err := jobs(config)
	if err != nil {
		t.Fatal(err)
	}
	var run []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		when, err := o.when(all[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		switch when {
		case "never":
		case "manual":
			run = append(run, name+"?")
		default:
			run = append(run, name)
		}
	}
	return run
}

// Merge requests check and plan and touch no cloud; the default branch and
// schedules go as far as the button; a commit elsewhere and a tag start nothing.
func TestWhatRunsWhen(t *testing.T) {
	whole := "deploy? gate lint package push tag test train version"
	want := map[string]string{
		"merge request": "lint plan test version", "main": whole, "main, a shared folder": whole, "schedule": whole,
		"merge request, elsewhere": "", "main, elsewhere": "", "other branch": "", "tag": "",
	}
	config := rendered(t, "model-pipeline", tree{"env": "prod", "changes": []any{"model/**/*", "libs/features/**/*"}})
	for name, o := range occasions() {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(strings.Fields(want[name]), planned(t, config, o), cmpEmpty); diff != "" {
				t.Errorf("jobs that run (-want +got):\n%s", diff)
			}
		})
	}
}

// Merge requests only check; the default branch and schedules hand over, start
// the other project, and tag; a commit elsewhere and a tag start nothing.
func TestWhatRunsWhenInTheModelsProject(t *testing.T) {
	whole := "handover lint tag test trigger version"
	want := map[string]string{
		"merge request": "lint test version", "main": whole, "main, a shared folder": whole, "schedule": whole,
		"merge request, elsewhere": "", "main, elsewhere": "", "other branch": "", "tag": "",
	}
	for _, strategy := range []string{"mirror", "depend", "none"} {
		inputs := tree{"env": "prod", "project": "platform/models", "strategy": strategy, "changes": []any{"model/**/*", "libs/features/**/*"}}
		config := rendered(t, "model-trigger", inputs)
		for name, o := range occasions() {
			t.Run(strategy+", "+name, func(t *testing.T) {
				wanted := want[name]
				if strategy == "none" { // nothing says when downstream has ended
					wanted = strings.Replace(wanted, "tag", "tag?", 1)
				}
				if diff := cmp.Diff(strings.Fields(wanted), planned(t, config, o), cmpEmpty); diff != "" {
					t.Errorf("jobs that run (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// The platform's pipeline is started by another project, and by nothing else.
func TestWhatRunsWhenInThePlatformsProject(t *testing.T) {
	config := rendered(t, "mlops-pipeline", tree{"env": "prod"})
	for name, o := range occasions() {
		if run := planned(t, config, o); len(run) > 0 {
			t.Errorf("%s starts %v", name, run)
		}
	}
	whole := strings.Fields("deploy? fetch gate lint package push train")
	for name, more := range map[string]map[string]string{
		"a trigger job":              {"CI_PIPELINE_SOURCE": "pipeline"},
		"a trigger job's variables":  {"CI_PIPELINE_SOURCE": "pipeline", "UPSTREAM_PROJECT_ID": "7"},
		"the API, with variables":    {"CI_PIPELINE_SOURCE": "api", "UPSTREAM_PROJECT_ID": "7"},
		"the API, on a newer GitLab": {"CI_PIPELINE_SOURCE": "trigger", "CI_UPSTREAM_PROJECT_ID": "7"},
		"somebody, with variables":   {"CI_PIPELINE_SOURCE": "web", "UPSTREAM_PROJECT_ID": "7"},
		"a schedule, with variables": {"CI_PIPELINE_SOURCE": "schedule", "UPSTREAM_PROJECT_ID": "7"},
	} {
		variables := map[string]string{"CI_COMMIT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main"}
		maps.Copy(variables, more)
		if diff := cmp.Diff(whole, planned(t, config, occasion{variables: variables}), cmpEmpty); diff != "" {
			t.Errorf("%s: jobs that run (-want +got):\n%s", name, diff)
		}
	}
}

// What follows a deployment comes after it, and only if somebody asked for it.
func TestWhatFollowsADeployment(t *testing.T) {
	started := occasion{variables: map[string]string{"CI_PIPELINE_SOURCE": "pipeline", "CI_COMMIT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main"}}
	for name, on := range map[string]map[string]occasion{
		"model-pipeline": {"main": occasions()["main"], "schedule": occasions()["schedule"]},
		"mlops-pipeline": {"a trigger job": started},
	} {
		off := occasions()["merge request"]
		for project, wanted := range map[string]bool{"": false, "platform/staging": true} {
			config := rendered(t, name, tree{"env": "prod", "trigger": project, "trigger-branch": "next"})
			for what, o := range on {
				if got := slices.Contains(planned(t, config, o), "trigger"); got != wanted {
					t.Errorf("%s, %s, trigger %q: it runs: %t", name, what, project, got)
				}
			}
			if slices.Contains(planned(t, config, off), "trigger") {
				t.Errorf("%s, trigger %q: it runs in a merge request", name, project)
			}
			all, err := jobs(config)
			if err != nil {
				t.Fatal(err)
			}
			job := all["trigger"]
			variables := job["variables"].(tree)
			if variables["TOWLINE_TRIGGER_PROJECT"] != project || variables["TOWLINE_TRIGGER_REF"] != "next" || !slices.Equal(list(job["needs"]), []any{"deploy"}) {
				t.Errorf("%s: the job starts %v after %v", name, variables, job["needs"])
			}
		}
	}
}

// Each pipeline tells GitLab by an input what it is asked to, and nothing else.
func TestWhatPipelinesTellGitLab(t *testing.T) {
	for _, tt := range []struct {
		pipeline, input string
		noted           []string
		registers       bool
	}{
		{"model-pipeline", "note", []string{"gate", "version"}, false},
		{"model-pipeline", "registry", nil, true},
		{"model-trigger", "note", []string{"version"}, false},
		{"model-trigger", "registry", nil, true},
		{"mlops-pipeline", "note", []string{"gate"}, false},
		{"mlops-pipeline", "", nil, false},
		{"model-pipeline", "", nil, false},
		{"model-trigger", "", nil, false},
	} {
		inputs := tree{"env": "prod"}
		if tt.pipeline == "model-trigger" {
			inputs["project"] = "platform/models"
		}
		if tt.input != "" {
			inputs[tt.input] = true
		}
		all, err := jobs(rendered(t, tt.pipeline, inputs))
		if err != nil {
			t.Fatal(err)
		}
		var noted []string
		registers := false
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if slices.Contains(list(all[name]["after_script"]), any(`towline report note -C "$TOWLINE_DIRECTORY"`)) {
				noted = append(noted, name)
			}
			variables, _ := all[name]["variables"].(tree)
			registers = registers || variables["TOWLINE_MODEL_REGISTRY"] == "true"
		}
		if !slices.Equal(noted, tt.noted) || registers != tt.registers {
			t.Errorf("%s, %s: %v write notes, registers %t, want %v, %t", tt.pipeline, tt.input, noted, registers, tt.noted, tt.registers)
		}
	}
}

// cmpEmpty takes no jobs and none for the same.
var cmpEmpty = cmp.Transformer("empty", func(list []string) string { return strings.Join(list, " ") })

// A job that runs in a merge request signs in nowhere.
func TestMergeRequestsTouchNoCloud(t *testing.T) {
	config := rendered(t, "model-pipeline", tree{"env": "prod"})
	all, err := jobs(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range planned(t, config, occasions()["merge request"]) {
		for _, keyword := range []string{"id_tokens", "environment", "resource_group"} {
			if all[name][keyword] != nil {
				t.Errorf("%s runs in merge requests and has %s", name, keyword)
			}
		}
	}
}

// A schedule asks for a new model; nothing else does.
func TestSchedulesRetrain(t *testing.T) {
	all, err := jobs(rendered(t, "model-pipeline", tree{"env": "prod"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list(all["version"]["rules"]) {
		rule := entry.(tree)
		variables, _ := rule["variables"].(tree)
		scheduled := strings.Contains(rule["if"].(string), `"schedule"`)
		if (variables["TOWLINE_RETRAIN"] == "true") != scheduled {
			t.Errorf("rule %v sets %v", rule["if"], variables)
		}
	}
}

// since is the GitLab that first knew a keyword, where it is younger than 16.11.
// https://docs.gitlab.com/ci/yaml/
var since = map[string]string{"manual_confirmation": "17.1", "strategy: mirror": "18.2", "inputs": "17.11"}

// GitLab 16.11 takes every component as long as nobody asks for more.
func TestComponentsForOldGitLab(t *testing.T) {
	for _, name := range templates(t) {
		for key, input := range headerOf(t, name).Spec.Inputs {
			if len(input.Rules) > 0 {
				t.Errorf("%s: input %s has rules, which came with 18.7", name, key)
			}
		}
		if len(headerOf(t, name).Spec.Component) > 0 {
			t.Errorf("%s: names spec:component, which came with 18.6", name)
		}
		for _, inputs := range combinations(headerOf(t, name)) {
			if inputs["confirm"] == true || inputs["strategy"] == "mirror" {
				continue
			}
			all, err := jobs(rendered(t, name, inputs))
			if err != nil {
				t.Fatal(err)
			}
			for job, body := range all {
				for keyword, version := range since {
					if mentions(body, keyword) {
						t.Fatalf("%s %v: job %s uses %s, which came with %s", name, inputs, job, keyword, version)
					}
				}
			}
		}
	}
}

// mentions says whether a keyword, or a keyword with its value, stands in a job.
func mentions(node any, keyword string) bool {
	name, value, pair := strings.Cut(keyword, ": ")
	part, ok := node.(tree)
	if !ok {
		return false
	}
	for key, below := range part {
		if key == name && (!pair || below == value) || mentions(below, keyword) {
			return true
		}
	}
	return false
}

// GitLab 17.1 asks before it deploys, if told to.
func TestDeployAsksBefore(t *testing.T) {
	for confirm, want := range map[bool]bool{true: true, false: false} {
		all, err := jobs(rendered(t, "deploy", tree{"env": "prod", "confirm": confirm}))
		if err != nil {
			t.Fatal(err)
		}
		if got := all["deploy"]["manual_confirmation"] != nil; got != want {
			t.Errorf("confirm %t: manual_confirmation %t", confirm, got)
		}
	}
}
