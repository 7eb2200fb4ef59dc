//go:build peers

package e2e_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gitlab.com/towline/towline/internal/gitlabtest"
)

// tagPushed is the source of the pipelines of a tag, as the tests call it.
const tagPushed = "push of a tag"

// project is a project of the GitLab under test.
type project struct {
	id   int
	path string
}

// pipeline is one pipeline of a project. gitlab-ci-local decides what runs and
// runs it; what GitLab and its runner give to jobs comes from here.
type pipeline struct {
	*towns
	project
	source    string
	id, iid   int
	commit    string
	before    string            // what the branch was at before the push
	variables map[string]string // of this pipeline alone: those of a trigger job

	dir  string // the checkout
	own  string // what the runner keeps beside it
	jobs map[string]tree
	ran  map[string]ended
}

// ended is a job that came to an end.
type ended struct {
	id, code int
}

// newPipeline checks the commit out, as a runner does, and renders its pipeline.
func (w *towns) newPipeline(at project, source string, variables map[string]string) *pipeline {
	w.t.Helper()
	w.pipelines++
	p := &pipeline{
		towns: w, project: at, source: source, id: 1000 + w.pipelines, iid: w.pipelines, variables: variables,
		dir: filepath.Join(w.dir, "builds", strconv.Itoa(w.pipelines)),
		own: filepath.Join(w.dir, "runner", strconv.Itoa(w.pipelines)), ran: map[string]ended{},
	}
	bare := w.bare(at)
	p.commit, p.before = w.git(bare, "rev-parse", "main"), w.git(bare, "rev-parse", "main~1")
	token := w.jobToken(at, "checkout")
	w.git(w.dir, "init", "-q", p.dir)
	w.git(p.dir, "remote", "add", "origin", strings.Replace(w.site.URL, "://", "://gitlab-ci-token:"+token+"@", 1)+"/"+at.path+".git")
	w.git(p.dir, "fetch", "origin", "--no-recurse-submodules", fmt.Sprintf("+%s:refs/pipelines/%d", p.commit, p.id),
		"+refs/heads/main:refs/remotes/origin/main", "--depth", "20", "--prune", "--quiet")
	w.git(p.dir, "checkout", "-q", "--detach", p.commit)
	w.git(p.dir, "update-ref", "refs/remotes/origin/main", p.before)
	w.git(p.dir, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
	renderer := &gitlab{
		projects:  map[string]string{componentProject: "..", at.path: p.dir},
		variables: map[string]string{"CI_PROJECT_PATH": at.path},
	}
	config, err := renderer.render(at.path, ".gitlab-ci.yml", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if p.jobs, err = jobs(config); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// predefined are the variables that GitLab gives to every job of the pipeline,
// and above them those of group, project and trigger job.
func (p *pipeline) predefined() map[string]string {
	all := map[string]string{
		"GITLAB_CI": "true", "CI_PROJECT_ID": strconv.Itoa(p.project.id), "CI_PIPELINE_ID": strconv.Itoa(p.id), "CI_PIPELINE_IID": strconv.Itoa(p.iid),
		"CI_PIPELINE_SOURCE": p.source, "CI_PIPELINE_URL": fmt.Sprintf("%s/%s/-/pipelines/%d", p.site.URL, p.path, p.id),
		"CI_PROJECT_URL": p.site.URL + "/" + p.path, "CI_SERVER_VERSION": "18.9.0-ee", "CI_SERVER_URL": p.site.URL, "CI_API_V4_URL": p.site.API,
		"CI_COMMIT_REF_NAME": "main", "CI_COMMIT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main", "CI_COMMIT_REF_PROTECTED": "true",
		"CI_COMMIT_BEFORE_SHA": p.before,
	}
	switch p.source {
	case "merge_request_event":
		delete(all, "CI_COMMIT_BRANCH")
		all["CI_MERGE_REQUEST_IID"] = "7"
	case tagPushed:
		delete(all, "CI_COMMIT_BRANCH")
		all["CI_PIPELINE_SOURCE"], all["CI_COMMIT_TAG"], all["CI_COMMIT_REF_NAME"] = "push", "v0.1.0", "v0.1.0"
	}
	maps.Copy(all, p.groupVariables)
	maps.Copy(all, p.variables)
	return all
}

// planned is when GitLab would start each job.
func (p *pipeline) planned() map[string]string {
	p.t.Helper()
	changed := strings.Fields(p.git(p.dir, "diff", "--name-only", p.before))
	o := occasion{variables: p.predefined(), changed: changed}
	all := map[string]string{}
	for name, job := range p.jobs {
		when, err := o.when(job)
		if err != nil {
			p.t.Fatal(err)
		}
		if when != "never" {
			all[name] = when
		}
	}
	return all
}

// automatic are the jobs that start by themselves, in no order, up to those
// that wait for one of the named ones.
func (p *pipeline) automatic(but ...string) []string {
	p.t.Helper()
	var run []string
	for name, when := range p.planned() {
		if when == "on_success" && p.jobs[name]["trigger"] == nil && !p.waitsFor(name, but) {
			run = append(run, name)
		}
	}
	return run
}

// listed is when gitlab-ci-local would start each job.
func (p *pipeline) listed() map[string]string {
	p.t.Helper()
	out, err := p.play(nil, "--list-csv")
	if err != nil {
		p.t.Fatalf("gitlab-ci-local --list-csv: %v\n%s", err, out)
	}
	all := map[string]string{}
	column := -1
	for line := range strings.Lines(out) {
		cells := strings.Split(strings.TrimSpace(line), ";")
		if cells[0] == "name" {
			column = slices.Index(cells, "when")
		} else if column >= 0 && len(cells) > column {
			all[cells[0]] = cells[column]
		}
	}
	return all
}

func (p *pipeline) waitsFor(name string, others []string) bool {
	for _, need := range list(p.jobs[name]["needs"]) {
		before, ok := need.(string)
		if entry, isMap := need.(tree); isMap {
			before, ok = entry["job"].(string)
		}
		if ok && (slices.Contains(others, before) || p.waitsFor(before, others)) {
			return true
		}
	}
	return false
}

// run lets gitlab-ci-local run jobs, with what they need of earlier ones, and
// wants each to end with a code; 0 where none is named.
func (p *pipeline) run(want map[string]int, names ...string) {
	p.t.Helper()
	for _, name := range names {
		if p.jobs[name] == nil {
			p.t.Fatalf("%s has no job %s", p.path, name)
		}
	}
	started := time.Now()
	out, err := p.play(names)
	p.t.Logf("%s of %s: %s", names, p.path, time.Since(started).Round(100*time.Millisecond))
	p.readEnded()
	failed := slices.ContainsFunc(names, func(name string) bool {
		found, ok := p.ran[name]
		return !ok || found.code != want[name]
	})
	if failed {
		p.t.Fatalf("%s of %s: %v, wanted %v, %v\n%s", names, p.path, p.ran, want, err, out)
	}
	for _, name := range names {
		p.finish(name)
	}
}

// play starts gitlab-ci-local in the checkout.
func (p *pipeline) play(names []string, more ...string) (string, error) {
	variables := p.predefined()
	named := slices.Sorted(maps.Keys(variables))
	args := []string{
		p.tool("node_modules/.bin/gitlab-ci-local"), "--force-shell-executor", "--shell-isolation", "--no-json-schema-validation",
		"--concurrency", "2", "--no-color", "--ignore-predefined-vars", strings.Join(named, ","),
	}
	for _, name := range named {
		args = append(args, "--variable", name+"="+variables[name])
	}
	if variables["CI_COMMIT_BRANCH"] == "" {
		args = append(args, "--unset-variable", "CI_COMMIT_BRANCH")
	}
	p.shareIncludes()
	cmd := exec.Command(p.tool("node/bin/node"), slices.Concat(args, more, names)...)
	cmd.Dir = p.dir
	cmd.Env = append(slices.Clone(p.environ), "PATH="+p.jobProgram(names)+":"+p.tools+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	p.said.Write(out)
	return string(out), err
}

// shareIncludes gives gitlab-ci-local the included files that it has already
// fetched for the first pipeline.
func (p *pipeline) shareIncludes() {
	p.t.Helper()
	folder := filepath.Join(p.dir, ".gitlab-ci-local")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		p.t.Fatal(err)
	}
	shared := filepath.Join(p.towns.dir, "includes")
	if err := os.MkdirAll(shared, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Symlink(shared, filepath.Join(folder, "includes")); err != nil && !errors.Is(err, os.ErrExist) {
		p.t.Fatal(err)
	}
}

// jobProgram is a folder with a program towline that gives each job what is
// its own, as a runner does: its token, and ID tokens where the job asks for them.
func (p *pipeline) jobProgram(names []string) string {
	p.t.Helper()
	folder := filepath.Join(p.own, "job")
	for _, name := range names {
		lines := "CI_JOB_TOKEN=" + p.jobToken(p.project, name) + "\n"
		tokens, _ := p.jobs[name]["id_tokens"].(tree)
		for variable, asked := range tokens {
			lines += variable + "=" + p.idToken(name, fmt.Sprint(asked.(tree)["aud"])) + "\n"
		}
		p.write(filepath.Join(folder, name), lines)
	}
	script := fmt.Sprintf("#!/bin/sh\nset -a\n. %[1]s/\"$CI_JOB_NAME\"\nset +a\n%[2]s \"$@\"\ncode=$?\n"+
		"echo \"$CI_JOB_NAME $CI_JOB_ID $code\" >> %[1]s/ended\nexit $code\n", folder, p.program)
	p.write(filepath.Join(folder, "bin", "towline"), script)
	if err := os.Chmod(filepath.Join(folder, "bin", "towline"), 0o755); err != nil {
		p.t.Fatal(err)
	}
	return filepath.Join(folder, "bin")
}

// idToken is a job's ID token: of its branch, for an audience, for as long as
// the job may run.
func (p *pipeline) idToken(name, audience string) string {
	p.t.Helper()
	life := 5 * time.Minute
	if p.jobs[name]["timeout"] != nil {
		life = time.Hour
	}
	token, err := p.site.Issuer.Token(gitlabtest.Claims{
		Subject: "project_path:" + p.path + ":ref_type:branch:ref:main", Audience: []string{expand(audience, p.predefined())},
		Issued: time.Now(), Life: life,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.secrets.add("ID token of "+name, token)
	return token
}

func (w *towns) jobToken(at project, job string) string {
	token := "glcbt-" + rand.Text()
	w.site.AddToken(token, gitlabtest.Credential{Project: at.id})
	w.secrets.add("job token of "+job, token)
	return token
}

// readEnded learns how the jobs came out.
func (p *pipeline) readEnded() {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.own, "job", "ended"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		id, err := strconv.Atoi(words[1])
		if err != nil {
			p.t.Fatal(err)
		}
		code, err := strconv.Atoi(words[2])
		if err != nil {
			p.t.Fatal(err)
		}
		p.ran[words[0]] = ended{id, code}
	}
}

// finish leaves at GitLab what a job has left: its artifacts, and its reports,
// which must be as GitLab reads them.
func (p *pipeline) finish(name string) {
	p.t.Helper()
	done := p.ran[name]
	status := map[bool]string{true: "success", false: "failed"}[done.code == 0]
	left := gitlabtest.Job{Project: p.project.id, Pipeline: p.id, ID: done.id, Name: name, Commit: p.commit, Status: status}
	artifacts, _ := p.jobs[name]["artifacts"].(tree)
	if done.code == 0 || artifacts["when"] == "always" {
		left.Artifacts = p.collect(name, artifacts["paths"])
	}
	if _, err := p.site.AddJob(left); err != nil {
		p.t.Fatal(err)
	}
	if done.code == 0 {
		p.checkReports(name)
	}
}

// collect copies what a job's artifacts are made of, as a runner does, and
// gives the folder; "" if there is nothing.
func (p *pipeline) collect(name string, paths any) string {
	p.t.Helper()
	to := filepath.Join(p.own, "artifacts", name)
	var wanted []any
	for _, pattern := range list(paths) {
		wanted = append(wanted, pattern, fmt.Sprint(pattern)+"/**")
	}
	files := p.left(name, wanted)
	for _, file := range files {
		rel, err := filepath.Rel(p.folderOf(name), file)
		if err != nil {
			p.t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		p.write(filepath.Join(to, rel), string(text))
	}
	if len(files) == 0 {
		return ""
	}
	return to
}

// folderOf is the folder that a job ran in.
func (p *pipeline) folderOf(name string) string {
	return filepath.Join(p.dir, ".gitlab-ci-local", "builds", name)
}

// bridge plays a trigger job: it gives the pipeline of the other project the
// variables that GitLab would.
func (p *pipeline) bridge(t *testing.T, name string) (downstream project, variables map[string]string) {
	t.Helper()
	job := p.jobs[name]
	trigger := job["trigger"].(tree)
	downstream = p.projects[fmt.Sprint(trigger["project"])]
	if downstream.path == "" || trigger["branch"] != "main" {
		t.Fatalf("%s triggers %v, which is no project here", name, trigger)
	}
	passed := p.dotenvOf(name)
	own := p.predefined()
	maps.Copy(own, passed)
	variables = map[string]string{}
	forward, _ := trigger["forward"].(tree)
	if forward["pipeline_variables"] == true {
		maps.Copy(variables, p.variables)
		maps.Copy(variables, passed)
	}
	if given, _ := job["variables"].(tree); forward["yaml_variables"] != false {
		for key, value := range given {
			variables[key] = expand(fmt.Sprint(value), own)
		}
	}
	return downstream, variables
}

// upstreamVariables are those that GitLab 18.9 gives by itself.
func (p *pipeline) upstreamVariables() map[string]string {
	return map[string]string{
		"CI_UPSTREAM_PROJECT_ID": strconv.Itoa(p.project.id), "CI_UPSTREAM_PIPELINE_ID": strconv.Itoa(p.id), "CI_UPSTREAM_JOB_ID": "77",
	}
}

// dotenvOf are the variables that a job gets of those it needs.
func (p *pipeline) dotenvOf(name string) map[string]string {
	all := map[string]string{}
	for _, need := range list(p.jobs[name]["needs"]) {
		before, _ := need.(string)
		if entry, isMap := need.(tree); isMap {
			before = fmt.Sprint(entry["job"])
		}
		maps.Copy(all, p.dotenv(before))
	}
	return all
}
