package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gitlab.com/towline/towline/internal/gitlabtest"
	"gitlab.com/towline/towline/pkg/cli"
	"gitlab.com/towline/towline/pkg/localcloud"
	"gitlab.com/towline/towline/pkg/record"
)

const (
	modelProject    = 7 // upstream
	platformProject = gitlabtest.OwnProject
	modelToken      = "job-token-of-the-model"
	personalToken   = "token-of-the-project"
)

// twoProjects are an upstream repository, a downstream folder, and the GitLab between them.
type twoProjects struct {
	t      *testing.T
	gitlab *gitlabtest.Server
	model  string // checkout
	deploy string // folder of the downstream job
	base   []string
}

func newTwoProjects(t *testing.T) *twoProjects {
	t.Helper()
	p := &twoProjects{t: t, gitlab: gitlabtest.Start(t, ""), model: t.TempDir(), deploy: t.TempDir()}
	p.gitlab.AddProject(gitlabtest.ProjectSettings{ID: modelProject, Path: "science/mean", Allow: []int{platformProject}})
	p.gitlab.AddToken(modelToken, gitlabtest.Credential{Project: modelProject})
	p.gitlab.AddToken(personalToken, gitlabtest.Credential{Projects: []int{modelProject}})
	p.base = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TOWLINE_CACHE=" + t.TempDir(), "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
	}
	if err := os.CopyFS(p.model, os.DirFS(filepath.Join("..", "..", "e2e", "testdata", "tiny"))); err != nil {
		t.Fatal(err)
	}
	p.git("init", "-q", "-b", "main")
	p.git("add", ".")
	p.git("commit", "-q", "-m", "feat: a model")
	return p
}

func (p *twoProjects) git(args ...string) string {
	p.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = p.model, p.base
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// towline runs a command line with further variables.
func (p *twoProjects) towline(dir string, variables []string, args ...string) (code int, stdout, stderr string) {
	var out, told bytes.Buffer
	code = cli.Main(cli.Process{
		Args: append([]string{"-C", dir}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &told,
		Environ: slices.Concat(p.base, variables), Version: "0.0.0-test",
	})
	return code, out.String(), told.String()
}

func (p *twoProjects) must(dir string, variables []string, args ...string) (stdout, stderr string) {
	p.t.Helper()
	code, stdout, stderr := p.towline(dir, variables, args...)
	if code != 0 {
		p.t.Fatalf("towline %v: exit %d\n%s", args, code, stderr)
	}
	return stdout, stderr
}

// upstream are the variables of a job of the model's project.
func (p *twoProjects) upstream(pipeline, job int) []string {
	return []string{
		"GITLAB_CI=true", "CI_API_V4_URL=" + p.gitlab.API, "CI_PROJECT_ID=" + strconv.Itoa(modelProject), "CI_PROJECT_PATH=science/mean",
		"CI_PIPELINE_ID=" + strconv.Itoa(pipeline), "CI_PIPELINE_IID=" + strconv.Itoa(pipeline), "CI_JOB_ID=" + strconv.Itoa(job),
		"CI_JOB_NAME=handover", "CI_JOB_TOKEN=" + modelToken, "CI_COMMIT_REF_NAME=main", "CI_DEFAULT_BRANCH=main",
		"CI_PIPELINE_URL=https://gitlab.example.com/science/mean/-/pipelines/" + strconv.Itoa(pipeline),
	}
}

// downstream are the variables of a job of the platform's project.
func (p *twoProjects) downstream(more ...string) []string {
	return append([]string{
		"GITLAB_CI=true", "CI_API_V4_URL=" + p.gitlab.API, "CI_PROJECT_ID=" + gitlabtest.Project, "CI_PROJECT_PATH=group/own",
		"CI_PIPELINE_ID=9000", "CI_PIPELINE_IID=3", "CI_JOB_ID=9001", "CI_JOB_TOKEN=" + gitlabtest.Token, "TOWLINE_TARGET=local",
	}, more...)
}

// handOver runs the upstream job and leaves its artifacts at GitLab.
func (p *twoProjects) handOver(pipeline, job int, args ...string) {
	p.t.Helper()
	env := p.upstream(pipeline, job)
	p.must(p.model, env, "version")
	p.must(p.model, env, append([]string{"handover"}, args...)...)
	_, err := p.gitlab.AddJob(gitlabtest.Job{Project: modelProject, Pipeline: pipeline, ID: job, Name: "handover", Artifacts: p.artifacts()})
	if err != nil {
		p.t.Fatal(err)
	}
}

// artifacts are the files that the hand-over left.
func (p *twoProjects) artifacts() string {
	p.t.Helper()
	artifacts := p.t.TempDir()
	for _, name := range []string{record.File, record.EnvFile, record.SourceFile, record.HandoverFile, record.HandoverEnv} {
		body, err := os.ReadFile(filepath.Join(p.model, ".towline", name))
		if err != nil {
			p.t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(artifacts, ".towline"), 0o755); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(artifacts, ".towline", name), body, 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
	return artifacts
}

// identity is that of the package that would be built.
func (p *twoProjects) identity(dir string, variables []string, args ...string) string {
	p.t.Helper()
	stdout, _ := p.must(dir, variables, append([]string{"package", "--dry-run", "--output", "json"}, args...)...)
	var plan struct{ Record record.Record }
	if err := json.Unmarshal([]byte(stdout), &plan); err != nil {
		p.t.Fatal(err)
	}
	return plan.Record.Identity
}

func TestDownstreamPackagesWhatUpstreamHandedOver(t *testing.T) {
	p := newTwoProjects(t)
	p.gitlab.SetTransfer(gitlabtest.Transfer{Redirect: true})
	p.handOver(100, 1001)
	want := p.identity(p.model, append(p.upstream(100, 1001), "TOWLINE_TARGET=local"))
	for _, tt := range []struct {
		name string
		env  []string
		args []string
	}{
		{"what a trigger job passes on", []string{"UPSTREAM_PROJECT_ID=7", "UPSTREAM_PIPELINE_ID=100", "UPSTREAM_JOB_ID=1001"}, nil},
		{"GitLab's own variables", []string{"CI_UPSTREAM_PROJECT_ID=7", "CI_UPSTREAM_PIPELINE_ID=100", "CI_UPSTREAM_JOB_ID=5"}, nil},
		{"the classic ones", []string{"CI_PROJECT_ID=7", "JOB_ID=1001", "ACCESS_TOKEN=" + personalToken}, nil},
		{"flags", nil, []string{"--project", "science/mean", "--pipeline", "100", "--job", "handover"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p.deploy = t.TempDir()
			env := p.downstream(tt.env...)
			_, told := p.must(p.deploy, env, append([]string{"fetch"}, tt.args...)...)
			if !strings.Contains(told, "digests of mean hold") {
				t.Errorf("fetch says %s", told)
			}
			p.keepsSecrets()
			if got := p.identity(p.deploy, env, "--from", ".towline/upstream"); got != want || got == "" {
				t.Errorf("identity = %s, want upstream's %s", got, want)
			}
			if _, told = p.must(p.deploy, env, append([]string{"fetch"}, tt.args...)...); !strings.Contains(told, "already") {
				t.Errorf("fetch again says %s", told)
			}
		})
	}
	if leaks := p.gitlab.Leaks(); len(leaks) > 0 {
		t.Errorf("tokens were shown to %v", leaks)
	}
}

func TestRacingPipelinesNeverSwapModels(t *testing.T) {
	p := newTwoProjects(t)
	p.handOver(100, 1001)
	p.gitlab.FinishPipeline(100, "success")
	if err := os.WriteFile(filepath.Join(p.model, "train.py"), []byte("print('another')\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.git("commit", "-q", "-a", "-m", "feat: another")
	p.handOver(200, 2001)
	commits := map[string]string{}
	for _, pipeline := range []string{"100", "200"} {
		dir := t.TempDir()
		stdout, _ := p.must(dir, p.downstream("CI_UPSTREAM_PROJECT_ID=7", "CI_UPSTREAM_PIPELINE_ID="+pipeline), "fetch", "--output", "json")
		var found struct{ Pipeline string }
		if err := json.Unmarshal([]byte(stdout), &found); err != nil || found.Pipeline != pipeline {
			t.Errorf("fetched %q, %v, want pipeline %s", found.Pipeline, err, pipeline)
		}
		body, err := os.ReadFile(filepath.Join(dir, ".towline", "upstream", ".towline", record.HandoverFile))
		if err != nil {
			t.Fatal(err)
		}
		h, err := record.UnmarshalHandover(body)
		if err != nil {
			t.Fatal(err)
		}
		commits[pipeline] = h.Commit
	}
	if commits["100"] == commits["200"] || commits["200"] != p.git("rev-parse", "HEAD") {
		t.Errorf("commits are %v", commits)
	}

	// One folder for both is filled anew each time.
	shared := t.TempDir()
	for _, pipeline := range []string{"100", "200", "100"} {
		stdout, _ := p.must(shared, p.downstream("CI_UPSTREAM_PROJECT_ID=7", "CI_UPSTREAM_PIPELINE_ID="+pipeline), "fetch", "--output", "json")
		body, err := os.ReadFile(filepath.Join(shared, ".towline", "upstream", ".towline", record.HandoverFile))
		if err != nil || !bytes.Contains(body, []byte(commits[pipeline])) {
			t.Errorf("of pipeline %s there is another commit, %v\n%s", pipeline, err, stdout)
		}
	}

	// By ref there is the older one while the other runs, and a warning says so.
	dir := t.TempDir()
	stdout, told := p.must(dir, p.downstream(), "fetch", "--project", "7", "--ref", "main", "--output", "json")
	if !strings.Contains(told, "warning") || !strings.Contains(stdout, `"pipeline": "100"`) {
		t.Errorf("by ref: %s%s", stdout, told)
	}

	// A hand-over of another job than the one that was asked for is refused.
	code, _, told := p.towline(t.TempDir(), p.downstream(), "fetch", "--project", "7", "--job", "2001", "--pipeline", "100")
	if code == 0 {
		t.Errorf("job 2001 passes for one of pipeline 100: %s", told)
	}
}

// What arrives is what was handed over, all of it, by whom it was asked for.
func TestWhatIsNotWhatWasHandedOver(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(folder string) error
		code   int
		said   string
	}{
		{"another source", func(folder string) error {
			return os.WriteFile(filepath.Join(folder, record.SourceFile), []byte("another"), 0o600)
		}, 8, "sha256 of .towline/source.tar is"},
		{"another record", func(folder string) error {
			return os.WriteFile(filepath.Join(folder, record.File), []byte("{}"), 0o600)
		}, 8, "sha256 of .towline/release.json is"},
		{"no source", func(folder string) error { return os.Remove(filepath.Join(folder, record.SourceFile)) }, 5, "source.tar did not come with it"},
		{"another project's", replaced(`"7"`, `"8"`), 8, "it is of project"},
		{"another pipeline's", replaced(`"100"`, `"101"`), 8, "it is of pipeline 101, wanted 100"},
		{"another job's", replaced(`"1001"`, `"1002"`), 8, "it is of job 1002, wanted 1001"},
		{"no document", replaced("{", "<"), 3, "handover.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newTwoProjects(t)
			env := p.upstream(100, 1001)
			p.must(p.model, env, "version")
			p.must(p.model, env, "handover")
			artifacts := p.artifacts()
			if err := tt.change(filepath.Join(artifacts, ".towline")); err != nil {
				t.Fatal(err)
			}
			if _, err := p.gitlab.AddJob(gitlabtest.Job{Project: modelProject, Pipeline: 100, ID: 1001, Name: "handover", Artifacts: artifacts}); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			code, _, told := p.towline(dir, p.downstream("UPSTREAM_PROJECT_ID=7", "UPSTREAM_PIPELINE_ID=100", "UPSTREAM_JOB_ID=1001"), "fetch")
			if code != tt.code || !strings.Contains(told, tt.said) || !strings.Contains(told, "towline: hint: ") {
				t.Errorf("fetch: exit %d, want %d and %q\n%s", code, tt.code, tt.said, told)
			}
			if _, err := os.Stat(filepath.Join(dir, ".towline", "upstream")); err == nil {
				t.Error("something is left of it")
			}
		})
	}
}

// replaced changes every such text in the hand-over's document.
func replaced(from, to string) func(folder string) error {
	return func(folder string) error {
		file := filepath.Join(folder, record.HandoverFile)
		body, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return os.WriteFile(file, bytes.ReplaceAll(body, []byte(from), []byte(to)), 0o600)
	}
}

func TestAFreeProjectHandsOverByAPackage(t *testing.T) {
	p := newTwoProjects(t)
	p.gitlab.ChangeProject(modelProject, func(s *gitlabtest.ProjectSettings) { s.Free = true })
	p.handOver(100, 1001, "--through", "package")
	for _, env := range [][]string{
		{"UPSTREAM_PROJECT_ID=7", "UPSTREAM_PIPELINE_ID=100", "UPSTREAM_JOB_ID=1001"},
		{"UPSTREAM_PROJECT_ID=7", "UPSTREAM_PIPELINE_ID=100", "UPSTREAM_JOB_ID=1001", "UPSTREAM_CARRIER=package"},
		{"CI_UPSTREAM_PROJECT_ID=7", "CI_UPSTREAM_PIPELINE_ID=100"},
	} {
		if _, told := p.must(t.TempDir(), p.downstream(env...), "fetch"); !strings.Contains(told, "by package") {
			t.Errorf("fetch with %v says %s", env, told)
		}
	}
	code, _, told := p.towline(t.TempDir(), p.downstream(), "fetch", "--project", "7", "--job", "1001", "--from", "artifacts")
	if code != 4 || !strings.Contains(told, "--through package") {
		t.Errorf("artifacts of a Free project: exit %d\n%s", code, told)
	}
	p.gitlab.ChangeProject(modelProject, func(s *gitlabtest.ProjectSettings) { s.Free, s.Allow = false, nil })
	code, _, told = p.towline(t.TempDir(), p.downstream(), "fetch", "--project", "7", "--job", "1001")
	if code != 4 || !strings.Contains(told, "Job token permissions") || strings.Contains(told, gitlabtest.Token) {
		t.Errorf("a project that lets nobody in: exit %d\n%s", code, told)
	}
}

// ACCESS_TOKEN is for the project that hands over. Whoever was started by one
// and hands over itself, or starts a pipeline, does that as the job.
func TestAnAccessTokenGoesToUpstreamAlone(t *testing.T) {
	classic := []string{"ACCESS_TOKEN=" + personalToken, "JOB_ID=5", "UPSTREAM_PROJECT_ID=8"}
	for _, variables := range [][]string{classic, {"ACCESS_TOKEN=" + personalToken, "JOB_ID=5", "CI_PROJECT_ID=8"}} {
		p := newTwoProjects(t)
		env := append(p.upstream(100, 1001), variables...)
		p.must(p.model, env, "version")
		p.must(p.model, env, "handover", "--through", "package")
		p.must(p.model, env, "trigger", "--project", "science/mean", "--strategy", "none")
		if packages := p.gitlab.Packages(); len(packages) != 2 {
			t.Errorf("packages are %v", packages)
		}
		for _, r := range p.gitlab.Requests() {
			if r.Header.Get("Private-Token") != "" {
				t.Errorf("ACCESS_TOKEN went to %s %s", r.Method, r.Path)
			}
		}
	}

	// Of its own project fetch asks as the job too.
	p := newTwoProjects(t)
	p.handOver(100, 1001)
	env := append(p.upstream(200, 2001), classic...)
	p.must(t.TempDir(), env, "fetch", "--project", "science/mean", "--job", "1001")
	for _, r := range p.gitlab.Requests() {
		if r.Header.Get("Private-Token") != "" {
			t.Errorf("ACCESS_TOKEN went to %s %s", r.Method, r.Path)
		}
	}
}

// Downstream the verdict goes to the merge request in the model's project, by
// which the commit came that was handed over.
func TestTheVerdictGoesToTheModelsMergeRequest(t *testing.T) {
	p := newTwoProjects(t)
	p.gitlab.AddMergeRequest(gitlabtest.MergeRequest{Project: platformProject, IID: 4, Merged: p.git("rev-parse", "HEAD")})
	p.gitlab.AddMergeRequest(gitlabtest.MergeRequest{Project: modelProject, IID: 12, Merged: p.git("rev-parse", "HEAD")})
	p.handOver(100, 1001)
	env := p.downstream("UPSTREAM_PROJECT_ID=7", "UPSTREAM_PIPELINE_ID=100", "UPSTREAM_JOB_ID=1001", "TOWLINE_FROM=.towline/upstream", "CI_MERGE_REQUEST_IID=4")
	p.must(p.deploy, env, "fetch")
	p.must(p.deploy, env, "package")
	if _, told := p.must(p.deploy, env, "report", "note"); !strings.Contains(told, "skipped") || len(p.gitlab.Notes()) > 0 {
		t.Errorf("without a token: %s", told)
	}
	env = append(env, "TOWLINE_GITLAB_TOKEN="+personalToken)
	if _, told := p.must(p.deploy, append(env, "CI_SERVER_URL=https://other.example.com"), "report", "note"); !strings.Contains(told, "another GitLab") {
		t.Errorf("with a source from elsewhere: %s", told)
	}
	p.must(p.deploy, env, "report", "note")
	notes := p.gitlab.Notes()
	if len(notes) != 1 || notes[0].Project != modelProject || notes[0].Request != 12 || !strings.Contains(notes[0].Body, "0.1.0") {
		t.Errorf("notes are %+v, want one on the model's merge request", notes)
	}
}

func TestProjectsOnTwoServersHandOverByS3(t *testing.T) {
	running, err := localcloud.Start(context.Background(), localcloud.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Close(context.Background()) })
	t.Setenv("AWS_ACCESS_KEY_ID", "towline") // the SDK reads them by itself
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-bucket")
	p := newTwoProjects(t)
	p.base = append(p.base, "TOWLINE_S3_ENDPOINT="+running.URL(), "AWS_REGION="+localcloud.Region)
	prefix := "s3://" + localcloud.Bucket + "/handover"
	p.handOver(100, 1001, "--through", "s3", "--s3", prefix)
	env := p.downstream("UPSTREAM_PROJECT_ID=7", "UPSTREAM_PIPELINE_ID=100", "UPSTREAM_JOB_ID=1001", "UPSTREAM_CARRIER="+prefix)
	if _, told := p.must(p.deploy, env, "fetch"); !strings.Contains(told, "by s3") || !strings.Contains(told, "digests of mean hold") {
		t.Errorf("fetch says %s", told)
	}
	code, _, told := p.towline(t.TempDir(), env, "fetch", "--project", "7", "--pipeline", "100", "--job", "1", "--from", "s3", "--s3", prefix)
	if code != 5 || !strings.Contains(told, "there is no such object") {
		t.Errorf("a job that handed nothing over: exit %d\n%s", code, told)
	}
	p.keepsSecrets("secret-of-the-bucket")
}

// keepsSecrets looks through all that the commands left for tokens.
func (p *twoProjects) keepsSecrets(more ...string) {
	p.t.Helper()
	secrets := append([]string{modelToken, personalToken, gitlabtest.Token, "X-Amz-Signature"}, more...)
	for _, dir := range []string{p.model, p.deploy} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			body, err := os.ReadFile(path)
			for _, text := range secrets {
				if bytes.Contains(body, []byte(text)) {
					p.t.Errorf("%s holds a secret", path)
				}
			}
			return err
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
}
