package cli_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gitlab.com/towline/towline/internal/gitlabtest"
)

// versionJob runs the version job of a model of its own in the pipeline 100.
func (p *twoProjects) versionJob(t *testing.T, model string, variables ...string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), model)
	if err := os.CopyFS(dir, os.DirFS(p.model)); err != nil {
		t.Error(err)
		return
	}
	manifest := "apiVersion: towline/v1\nproject: shop\nmodels:\n  - {name: " + model + ", train: {command: [python, train.py]}}\n"
	if err := os.WriteFile(filepath.Join(dir, "towline.yaml"), []byte(manifest), 0o600); err != nil {
		t.Error(err)
		return
	}
	if code, _, stderr := p.towline(dir, append(p.upstream(100, 1001), variables...), "version"); code != 0 {
		t.Errorf("towline version of %s: exit %d\n%s", model, code, stderr)
	}
}

// name is that of the pipeline 100.
func (p *twoProjects) name() string {
	for _, pipeline := range p.gitlab.Pipelines() {
		if pipeline.ID == 100 {
			return pipeline.Name
		}
	}
	return ""
}

// A component that is included twice has two version jobs, which run side by
// side: each names its model, and none overwrites the other.
func TestVersionJobsNameThePipelineTogether(t *testing.T) {
	p := newTwoProjects(t)
	p.gitlab.AddPipeline(gitlabtest.Pipeline{Project: modelProject, ID: 100, Status: "running"})
	var wait sync.WaitGroup
	for _, model := range []string{"fraud", "spam", "risk"} {
		wait.Go(func() { p.versionJob(t, model) })
	}
	wait.Wait()
	want := "fraud 0.1.0-cand.100, risk 0.1.0-cand.100, spam 0.1.0-cand.100"
	if got := p.name(); got != want {
		t.Fatalf("the pipeline is called %q, want %q", got, want)
	}
	p.versionJob(t, "risk", "CI_PIPELINE_IID=101", "CI_PIPELINE_NAME="+want)
	if got := p.name(); got != strings.Replace(want, "risk 0.1.0-cand.100", "risk 0.1.0-cand.101", 1) {
		t.Errorf("run again, the job calls the pipeline %q", got)
	}
}

func TestWhoseNameThePipelineHas(t *testing.T) {
	long := strings.Repeat("a-model-with-a-name 1.0.0, ", 9) + "zebra 1.0.0"
	full := strings.Repeat("a", 247) + " 1.0.0"
	for _, tt := range []struct {
		name, now string
		hides     bool // GitLab tells a job's token nothing of pipelines
		variables []string
		want      string
	}{
		{"nobody's", "", false, nil, "risk 0.1.0-cand.100"},
		{"a user's", "Nightly build", false, nil, "Nightly build"},
		{"a user's that ends alike", "Nightly, …", false, nil, "Nightly, …"},
		{"a user's that begins alike", "fraud 1.0.0, and more", false, nil, "fraud 1.0.0, and more"},
		{"that of another model, which has nothing to release", "fraud 1.0.0 (nothing to release)", false, nil, "fraud 1.0.0 (nothing to release), risk 0.1.0-cand.100"},
		{"that of the same model", "risk 0.0.9-cand.99", false, nil, "risk 0.1.0-cand.100"},
		{"too long a one", long, false, nil, strings.Repeat("a-model-with-a-name 1.0.0, ", 9) + "…"},
		{"one that leaves no room", full, false, nil, full},
		{"one that is not told, but known", "fraud 1.0.0", true, []string{"CI_PIPELINE_NAME=fraud 1.0.0"}, "fraud 1.0.0, risk 0.1.0-cand.100"},
		{"one that is neither", "fraud 1.0.0", true, nil, "risk 0.1.0-cand.100"},
		{"one that stays", "", false, []string{"TOWLINE_PIPELINE_NAME=off"}, ""},
		{"that of a tag's pipeline", "", false, []string{"CI_COMMIT_TAG=v1"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newTwoProjects(t)
			p.gitlab.ChangeProject(modelProject, func(s *gitlabtest.ProjectSettings) { s.HideJobs = tt.hides })
			p.gitlab.AddPipeline(gitlabtest.Pipeline{Project: modelProject, ID: 100, Status: "running", Name: tt.now})
			p.versionJob(t, "risk", tt.variables...)
			if got := p.name(); got != tt.want {
				t.Errorf("the pipeline is called %q, want %q", got, tt.want)
			}
			puts := slices.DeleteFunc(p.gitlab.Seen(), func(seen string) bool { return !strings.HasPrefix(seen, "PUT ") })
			if wanted := tt.want != tt.now; wanted != (len(puts) == 1) {
				t.Errorf("named by %v", puts)
			}
		})
	}
}
