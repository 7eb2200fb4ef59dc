//go:build peers

package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/internal/gitlabtest"
	"gitlab.com/towline/towline/pkg/record"
)

const bucket = "example-models-prod"

// useComponents publishes the templates as the component project does.
func (w *towns) useComponents() {
	w.t.Helper()
	w.push(towlineAt, "feat: components", func(folder string) {
		if err := os.CopyFS(filepath.Join(folder, "templates"), os.DirFS("../templates")); err != nil {
			w.t.Fatal(err)
		}
	})
	work := filepath.Join(w.dir, "work", towlineAt.path)
	w.git(work, "tag", "1.0.0")
	w.git(work, "push", "-q", "origin", "1.0.0")
}

// here puts this machine's addresses where those of a company stand.
func (w *towns) here(text string) string {
	return strings.NewReplacer(
		"public.ecr.aws/docker/library/python:3.11-slim", "scratch",
		"444455556666.dkr.ecr.eu-west-1.amazonaws.com", w.registry.host,
		"https://gitlab.example.com", w.site.URL,
		"gitlab.example.com", strings.TrimPrefix(w.site.URL, "http://"),
	).Replace(text)
}

// filesOf are the blocks of a page but for the commands.
func filesOf(blocks []pageBlock) []pageBlock {
	return slices.DeleteFunc(slices.Clone(blocks), func(b pageBlock) bool { return b.language == "sh" })
}

// useModel commits the example without its own pipeline and environments, and
// then does what a page says: its files, and its commands if there are any.
func (w *towns) useModel(blocks []pageBlock) {
	w.t.Helper()
	w.push(modelAt, "feat: tell malignant from benign tumours", func(folder string) {
		if err := copyTracked(folder, "../examples/breast-cancer"); err != nil {
			w.t.Fatal(err)
		}
		file := filepath.Join(folder, "towline.yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			w.t.Fatal(err)
		}
		ours, _, _ := strings.Cut(string(text), "environments:")
		w.write(file, w.here(ours))
		if err := os.Remove(filepath.Join(folder, ".gitlab-ci.yml")); err != nil {
			w.t.Fatal(err)
		}
	})
	folder := filepath.Join(w.dir, "work", modelAt.path)
	for _, b := range blocks {
		switch b.title {
		case "towline.yaml":
			text, err := os.ReadFile(filepath.Join(folder, b.title))
			if err != nil {
				w.t.Fatal(err)
			}
			w.write(filepath.Join(folder, b.title), string(text)+w.here(b.text))
		case ".gitlab-ci.yml":
			w.write(filepath.Join(folder, b.title), b.text)
		}
	}
	typed := slices.DeleteFunc(slices.Clone(blocks), func(b pageBlock) bool { return b.language != "sh" || b.title != "" })
	for _, b := range typed {
		w.shell(folder, b.text)
	}
	if len(typed) == 0 {
		w.push(modelAt, "feat: a pipeline", func(string) {})
	}
	if got, want := w.git(w.bare(modelAt), "rev-parse", "main"), w.git(folder, "rev-parse", "HEAD"); got != want || w.git(folder, "status", "--porcelain") != "" {
		w.t.Fatalf("the page's commands left main at %s, want all that is written, in %s", got, want)
	}
}

// shell runs a page's commands, as they stand there.
func (w *towns) shell(folder, commands string) {
	w.t.Helper()
	w.must(folder, "env", "PATH="+filepath.Dir(w.program)+":"+w.tools+":"+os.Getenv("PATH"), "TOWLINE_CACHE="+w.cache, "sh", "-eux", "-c", w.here(commands))
}

// trusting is the file that gives the local cloud a page's trust policy.
func (w *towns) trusting(policy string) string {
	return w.here(`{"providers": [{"url": "https://gitlab.example.com", "account": "444455556666", "client_ids": ["https://gitlab.example.com"]}],
		"roles": [{"arn": "arn:aws:iam::444455556666:role/towline-deploy", "trust": ` + policy + `}]}`)
}

// recordOf is the release record that a job has left.
func (p *pipeline) recordOf(name, below string) record.Record {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.own, "artifacts", name, below, ".towline", record.File))
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := record.Unmarshal(text)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// predicts asks the endpoint, as an application would, and wants an answer of
// this very release.
func (w *towns) predicts(r record.Record) {
	w.t.Helper()
	if r.Endpoint == nil {
		w.t.Fatal("the record names no endpoint")
	}
	sample, err := os.Open("../examples/breast-cancer/sample.json")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = sample.Close() }()
	answer, err := http.Post(w.cloud.URL+"/endpoints/"+r.Endpoint.Name+"/invocations", "application/json", sample)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), "malignant") || !strings.Contains(string(body), r.Identity) {
		w.t.Errorf("endpoint %s answers %d %s, %v, want a prediction by %s", r.Endpoint.Name, answer.StatusCode, body, err, r.Identity)
	}
}

// The data scientist's page, followed to the letter: the pipeline of main
// trains, judges and tags in the cloud, and the button deploys.
func TestPeersFlowOfOneProject(t *testing.T) {
	blocks := page(t, "gitlab/data-scientist.md")
	w := newTowns(t)
	w.useComponents()
	w.startCloud(w.trusting(titled(t, blocks, "trust-policy")), bucket)
	w.useModel(blocks)

	request := w.newPipeline(modelAt, "merge_request_event", nil)
	request.run(nil, "plan", "version")
	if calls := w.cloud.requests(); len(calls) > 0 {
		t.Errorf("a merge request touched the cloud: %s", calls[0])
	}

	main := w.newPipeline(modelAt, "push", nil)
	main.run(nil, main.automatic()...)
	main.run(nil, "deploy")
	deployed := main.recordOf("deploy", "")
	w.predicts(deployed)
	if deployed.Version.Version != "0.1.0" || deployed.Tag != "v0.1.0" || w.git(w.bare(modelAt), "rev-parse", "v0.1.0^{commit}") != main.commit {
		t.Errorf("deployed %+v, want 0.1.0 with its tag on %s", deployed.Version, main.commit)
	}

	// A schedule makes a new model of the same commit.
	schedule := w.newPipeline(modelAt, "schedule", nil)
	schedule.run(nil, "version")
	if r := schedule.recordOf("version", ""); r.Version.Version != "0.1.1" || r.Asked == nil || !r.Asked.Retrain {
		t.Errorf("a schedule would release %+v, want a retrained 0.1.1", r.Version)
	}

	// gitlab-ci-local starts what we say that GitLab starts; a tag starts nothing.
	for _, p := range []*pipeline{request, main, schedule, w.newPipeline(modelAt, tagPushed, nil)} {
		if diff := cmp.Diff(p.planned(), p.listed()); diff != "" {
			t.Errorf("%s: what runs (-ours +gitlab-ci-local):\n%s", p.source, diff)
		}
		if p.source == tagPushed && len(p.planned()) > 0 {
			t.Errorf("a tag starts %v", p.planned())
		}
	}
	w.keepsSecrets()
}

// The platform team's page, followed to the letter: what one project hands
// over is trained and deployed by another, and tagged where it came from.
func TestPeersFlowOfTwoProjects(t *testing.T) {
	blocks := page(t, "gitlab/platform-team.md")
	w := newTowns(t)
	w.site.SetTransfer(gitlabtest.Transfer{Redirect: true})
	w.useComponents()
	w.startCloud(w.trusting(titled(t, blocks, "trust-policy")), bucket)
	w.useModel(blocks)
	w.push(platformAt, "feat: a pipeline", func(folder string) {
		w.write(filepath.Join(folder, ".gitlab-ci.yml"), titled(t, blocks, "platform/.gitlab-ci.yml"))
	})

	up := w.newPipeline(modelAt, "push", nil)
	up.run(nil, up.automatic("trigger")...)
	at, variables := up.bridge(t, "trigger")
	down := w.newPipeline(at, "pipeline", variables)
	down.run(nil, down.automatic()...)
	if len(down.ran) != len(down.planned())-1 {
		t.Errorf("downstream ran %v of %v, want all but the button", slices.Sorted(maps.Keys(down.ran)), down.planned())
	}
	down.run(nil, "deploy")
	deployed := down.recordOf("deploy", "")
	w.predicts(deployed)
	if deployed.Source.Commit != up.commit || deployed.Image == nil || !strings.HasPrefix(deployed.Image.Repository, w.registry.host+"/") {
		t.Errorf("deployed %+v of %+v, want commit %s from the registry", deployed.Image, deployed.Source, up.commit)
	}

	up.run(nil, "tag")
	tagged := up.recordOf("tag", "")
	if tagged.Tag != "v0.1.0" || tagged.Identity != deployed.Identity || w.git(w.bare(modelAt), "rev-parse", "v0.1.0^{commit}") != up.commit {
		t.Errorf("tagged %+v, want v0.1.0 on %s for %s", tagged.Version, up.commit, deployed.Identity)
	}
	w.keepsSecrets()
}

// keepsSecrets wants the secrets of a flow nowhere but with their owners.
func (w *towns) keepsSecrets() {
	w.t.Helper()
	started := time.Now()
	defer func() { w.t.Logf("looked for secrets: %s", time.Since(started).Round(100*time.Millisecond)) }()
	for _, what := range w.secrets.in(w.said.Bytes()) {
		w.t.Errorf("a log holds the %s", what)
	}
	theirs := func(path string) bool {
		return path == "docker" || // of the registry's login
			strings.HasPrefix(path, "runner/") && strings.HasSuffix(path, "/job") || // what the runner gives to jobs
			strings.HasSuffix(path, ".git/config") // where a runner keeps the token it clones with
	}
	found, looked, err := w.secrets.inFolder(w.dir, theirs)
	if err != nil || looked < 500 {
		w.t.Errorf("looked into %d files of the flow: %v", looked, err)
	}
	inCache, _, err := w.secrets.inFolder(w.cache, func(path string) bool {
		info, err := os.Lstat(filepath.Join(w.cache, path))
		return err != nil || !info.IsDir() && info.ModTime().Before(w.began)
	})
	if err != nil {
		w.t.Error(err)
	}
	for _, breach := range append(found, inCache...) {
		w.t.Error(breach)
	}
	w.sendsSecretsHomeOnly()
}

// sendsSecretsHomeOnly holds what each service was sent against whose it is.
func (w *towns) sendsSecretsHomeOnly() {
	w.t.Helper()
	for _, request := range w.site.Requests() {
		var header strings.Builder
		_ = request.Header.Write(&header)
		for _, what := range w.secrets.in([]byte(request.Path + "?" + request.Query + "\n" + header.String())) {
			if request.Host == "storage" || !strings.HasPrefix(what, "job token of ") || strings.Contains(request.Query, "glcbt-") {
				w.t.Errorf("%s was sent the %s: %s %s", request.Host, what, request.Method, request.Path)
			}
		}
	}
	for _, service := range []struct {
		*toll
		own []string
	}{{w.registry, []string{"login of the registry"}}, {w.cloud, []string{"ID token of ", "AWS SessionToken"}}} {
		if service.toll == nil {
			continue
		}
		for _, request := range service.requests() {
			for _, what := range w.secrets.in([]byte(request)) {
				if !slices.ContainsFunc(service.own, func(own string) bool { return strings.HasPrefix(what, own) }) {
					w.t.Errorf("%s was sent the %s: %.100s", service.host, what, request)
				}
			}
		}
	}
	if leaks := w.site.Leaks(); len(leaks) > 0 {
		w.t.Errorf("GitLab's tokens were shown to %v", leaks)
	}
}

// handedOver is what a fetch job has brought.
func (p *pipeline) handedOver() record.Handover {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.folderOf("fetch"), ".towline", "upstream", ".towline", record.HandoverFile))
	if err != nil {
		p.t.Fatal(err)
	}
	h, err := record.UnmarshalHandover(text)
	if err != nil {
		p.t.Fatal(err)
	}
	return h
}

// fetchedJSON is what fetch says of itself.
func (p *pipeline) fetchedJSON() (found struct{ Carrier, Pipeline, Job string }) {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.folderOf("fetch"), ".towline", "upstream", "fetched.json"))
	if err == nil {
		err = json.Unmarshal(text, &found)
	}
	if err != nil {
		p.t.Fatal(fmt.Errorf("fetched.json: %w", err))
	}
	return found
}
