//go:build peers

package e2e_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/internal/gitlabtest"
)

// mirrorComponents brings the components here from GitLab.com, by the commands
// of the page for servers of one's own.
func (w *towns) mirrorComponents(blocks []pageBlock) {
	w.t.Helper()
	w.useComponents()
	there := filepath.Join(w.dir, "gitlab.com", componentProject+".git")
	if err := os.MkdirAll(filepath.Dir(there), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.bare(towlineAt), there); err != nil {
		w.t.Fatal(err)
	}
	w.git(w.dir, "init", "-q", "--bare", "-b", "main", w.bare(towlineAt))
	w.git(w.bare(towlineAt), "config", "uploadpack.allowFilter", "true")
	folder := filepath.Join(w.dir, "mirror")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		w.t.Fatal(err)
	}
	commands := titled(w.t, blocks, "mirror")
	w.shell(folder, fmt.Sprintf("git config --global url.file://%s/gitlab.com/.insteadOf https://gitlab.com/\n"+
		"git config --global url.file://%s/repositories/.pushInsteadOf https://gitlab.example.com/\n%s", w.dir, w.dir, commands))
}

// usePipeline commits a pipeline in a project, and nothing else.
func (w *towns) usePipeline(at project, text string) {
	w.t.Helper()
	w.push(at, "feat: another pipeline", func(folder string) { w.write(filepath.Join(folder, ".gitlab-ci.yml"), text) })
}

// Components that came from GitLab.com by a mirror or a copy make the same
// pipeline as those of the catalogue.
func TestPeersFlowWithoutTheCatalogue(t *testing.T) {
	blocks := page(t, "gitlab/self-managed.md")
	w := newTowns(t)
	w.mirrorComponents(blocks)
	w.useModel(filesOf(page(t, "gitlab/data-scientist.md")))
	want := w.newPipeline(modelAt, "push", nil)
	for _, title := range []string{".gitlab-ci.yml", "local/.gitlab-ci.yml"} {
		w.push(modelAt, "feat: another pipeline", func(folder string) {
			w.write(filepath.Join(folder, ".gitlab-ci.yml"), titled(t, blocks, title))
			if title == "local/.gitlab-ci.yml" {
				if err := os.CopyFS(filepath.Join(folder, "templates"), os.DirFS("../templates")); err != nil {
					t.Fatal(err)
				}
			}
		})
		p := w.newPipeline(modelAt, "push", nil)
		if diff := cmp.Diff(want.jobs, p.jobs); diff != "" {
			t.Errorf("%s makes other jobs (-catalogue +found):\n%s", title, diff)
		}
		if diff := cmp.Diff(want.planned(), p.listed()); diff != "" {
			t.Errorf("%s: what runs (-catalogue +gitlab-ci-local):\n%s", title, diff)
		}
	}
}

// relay is a model's and a platform's project between which commits go.
type relay struct {
	*towns
}

// handOver commits a change of the model, and runs the jobs that hand it over.
func (r *relay) handOver(change string) (up *pipeline, variables map[string]string) {
	r.t.Helper()
	r.push(modelAt, "feat: "+change, func(folder string) {
		file := filepath.Join(folder, "train.py")
		text, err := os.ReadFile(file)
		if err != nil {
			r.t.Fatal(err)
		}
		r.write(file, string(text)+"# "+change+"\n")
	})
	up = r.newPipeline(modelAt, "push", nil)
	up.run(nil, "version", "handover")
	_, variables = up.bridge(r.t, "trigger")
	return up, variables
}

// fetches runs the downstream fetch job and wants the upstream commit.
func (r *relay) fetches(up *pipeline, variables map[string]string, carrier string) {
	r.t.Helper()
	down := r.newPipeline(platformAt, "pipeline", variables)
	down.run(nil, "fetch")
	if got := down.handedOver(); got.Commit != up.commit || got.From.PipelineID != fmt.Sprint(up.id) {
		r.t.Errorf("fetched commit %s of pipeline %s, want %s of %d", got.Commit, got.From.PipelineID, up.commit, up.id)
	}
	if got := down.fetchedJSON(); got.Carrier != carrier || got.Job != fmt.Sprint(up.ran["handover"].id) {
		r.t.Errorf("fetched %+v, want job %d by %s", got, up.ran["handover"].id, carrier)
	}
}

// refused runs the downstream fetch job and wants it denied, with a hint.
func (r *relay) refused(variables map[string]string, hint string) {
	r.t.Helper()
	r.said.Reset()
	down := r.newPipeline(platformAt, "pipeline", variables)
	down.run(map[string]int{"fetch": 4}, "fetch")
	if !strings.Contains(r.said.String(), hint) {
		r.t.Errorf("fetch does not speak of %q:\n%s", hint, r.said.String())
	}
	for _, what := range r.secrets.in(r.said.Bytes()) {
		r.t.Errorf("a refusal shows the %s", what)
	}
}

// What goes from one project to another arrives whichever way GitLab allows,
// and never as another pipeline's.
func TestPeersHandOverInEveryGitLab(t *testing.T) {
	blocks := page(t, "gitlab/platform-team.md")
	free := page(t, "gitlab/free-tier.md")
	r := &relay{towns: newTowns(t)}
	r.useComponents()
	r.useModel(filesOf(blocks))
	r.usePipeline(platformAt, titled(t, blocks, "platform/.gitlab-ci.yml"))

	// Two pipelines race: by ref there would be the first one's model for both.
	first, toFirst := r.handOver("one")
	r.site.FinishPipeline(first.id, "success")
	second, toSecond := r.handOver("two")
	r.site.SetTransfer(gitlabtest.Transfer{Redirect: true, Cuts: []int64{20000, 30000}})
	r.fetches(second, toSecond, "artifacts")
	r.site.SetTransfer(gitlabtest.Transfer{Redirect: true})
	r.fetches(first, toFirst, "artifacts")

	// Where no variables are allowed GitLab says itself who started the pipeline.
	r.usePipeline(modelAt, titled(t, blocks, "predefined/.gitlab-ci.yml"))
	third, none := r.handOver("three")
	if len(none) > 0 {
		t.Errorf("pass: predefined passes on %v", slices.Sorted(maps.Keys(none)))
	}
	r.fetches(third, third.upstreamVariables(), "artifacts")

	// A project that lets nobody in, and one without Premium.
	r.site.ChangeProject(modelAt.id, func(p *gitlabtest.ProjectSettings) { p.Allow = nil })
	r.refused(toFirst, "Job token permissions")
	r.site.ChangeProject(modelAt.id, func(p *gitlabtest.ProjectSettings) { p.Allow, p.Free = []int{platformAt.id}, true })
	r.refused(toFirst, "--through package")

	// The Free tier's page.
	r.usePipeline(modelAt, titled(t, free, ".gitlab-ci.yml"))
	r.usePipeline(platformAt, titled(t, free, "platform/.gitlab-ci.yml"))
	fourth, toFourth := r.handOver("four")
	r.fetches(fourth, toFourth, "package")
	r.keepsSecrets()
}
