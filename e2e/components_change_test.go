package e2e_test

import (
	"slices"
	"strings"
	"testing"
)

// changing are the jobs that change something outside of the pipeline: cut off
// in the middle they would leave it half done, so no newer pipeline does that.
var changing = []string{"deploy", "tag", "train", "trigger"}

// Jobs that change the same thing come one after the other, are not cut off by
// a newer pipeline, and are recorded under the environment that they change.
func TestJobsThatChangeTheWorld(t *testing.T) {
	for pipeline, inputs := range map[string]tree{
		"model-pipeline": {"env": "prod", "environment": "production", "tier": "staging", "prefix": "fraud-", "trigger": "platform/staging"},
		"mlops-pipeline": {"env": "prod", "environment": "production", "tier": "staging", "prefix": "fraud-"},
		"model-trigger":  {"env": "prod", "environment": "production", "prefix": "fraud-", "project": "platform/models"},
	} {
		all, err := jobs(rendered(t, pipeline, inputs))
		if err != nil {
			t.Fatal(err)
		}
		for name, job := range all {
			short := strings.TrimPrefix(name, "fraud-")
			bridge := job["trigger"] != nil // GitLab never interrupts one
			if interruptible := !slices.Contains(changing, short); !bridge && job["interruptible"] != interruptible {
				t.Errorf("%s: %s is interruptible: %v", pipeline, name, job["interruptible"])
			}
			group := map[string]any{"deploy": "fraud-towline-prod", "train": "fraud-towline-prod", "tag": "fraud-towline-tag"}[short]
			if bridge {
				group = "fraud-towline-trigger"
				if job["inherit"].(tree)["variables"] != false {
					t.Errorf("%s: %s passes the variables of the whole pipeline on", pipeline, name)
				}
			}
			if job["resource_group"] != group {
				t.Errorf("%s: %s is in the resource group %v, want %v", pipeline, name, job["resource_group"], group)
			}
			environment, _ := job["environment"].(tree)
			action := map[string]any{"package": "prepare", "push": "prepare", "train": "prepare", "tag": "prepare", "gate": "verify"}[short]
			switch {
			case short == "deploy":
				if environment["name"] != "production" || environment["deployment_tier"] != "staging" || environment["action"] != nil {
					t.Errorf("%s: %s is recorded as %v", pipeline, name, environment)
				}
			case action == nil && environment != nil:
				t.Errorf("%s: %s has an environment, %v", pipeline, name, environment)
			case action != nil && (environment["action"] != action || environment["name"] != "production"):
				t.Errorf("%s: %s has the environment %v, want the action %v", pipeline, name, environment, action)
			}
		}
	}
}
