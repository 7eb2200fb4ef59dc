package cli_test

import (
	"strings"
	"testing"

	"gitlab.com/towline/towline/internal/gitlabtest"
)

func TestAReleaseIsEnteredInTheModelRegistry(t *testing.T) {
	j := newReleaseJob(t)
	j.pass(t)
	code, _, stderr := j.towline("tag", "--through", "releases-api", "--model-registry")
	if code != 4 || !strings.Contains(stderr, "TOWLINE_GITLAB_TOKEN") || len(j.gitlab.Releases()) > 0 {
		t.Fatalf("without a token: exit %d, want 4 and no release\n%s", code, stderr)
	}
	j.gitlab.AddToken("project-token", gitlabtest.Credential{Projects: []int{gitlabtest.OwnProject}})
	j.environ = append(j.environ, "TOWLINE_GITLAB_TOKEN=project-token", "TOWLINE_MODEL_REGISTRY=true")
	code, stdout, stderr := j.towline("tag", "--through", "releases-api", "--dry-run")
	if code != 0 || !strings.Contains(stdout, "register:mean") || !strings.Contains(stdout, "(known after register:mean)") || len(j.gitlab.Models()) > 0 {
		t.Fatalf("dry run: exit %d, want the registration in the plan only\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{"mean 1.0.1 is in GitLab's model registry, with 1 files", "mean 1.0.1 was in GitLab's model registry already"} {
		code, stdout, stderr := j.towline("tag", "--through", "releases-api")
		if code != 0 || stdout != "1.0.1\n" || !strings.Contains(stderr, want) {
			t.Fatalf("towline tag: exit %d, stdout %q, want %q\n%s", code, stdout, want, stderr)
		}
	}
	versions := j.gitlab.Models()[0].Versions
	if len(versions) != 1 || versions[0].Version != "1.0.1" || versions[0].Tags["towline.commit"] == "" {
		t.Errorf("versions = %+v", versions)
	}
	if files := j.gitlab.ModelFiles("mean", "1.0.1"); !strings.Contains(files["release.json"], `"tag": "v1.0.1"`) {
		t.Errorf("files = %v, want the record with its tag", files)
	}
	var names []string
	for _, link := range j.gitlab.Links("v1.0.1") {
		names = append(names, link.Name)
	}
	if got := strings.Join(names, ", "); got != "Pipeline, Model registry" {
		t.Errorf("links = %s", got)
	}
}
