package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/towline/towline/internal/gitlabtest"
	"gitlab.com/towline/towline/pkg/cli"
	"gitlab.com/towline/towline/pkg/internal/gittest"
	"gitlab.com/towline/towline/pkg/record"
)

const tinyManifest = `apiVersion: towline/v1
project: tiny
models:
  - name: mean
    train: {command: [python, train.py]}
`

// releaseJob is a job of a pipeline that releases through GitLab's releases.
type releaseJob struct {
	bare, clone string
	gitlab      *gitlabtest.Server
	environ     []string
}

func newReleaseJob(t *testing.T) *releaseJob {
	t.Helper()
	bare, _ := gittest.Bare(t, gittest.Repo{Commits: []gittest.Commit{
		{ID: "a", Message: "feat: a model", Files: map[string]string{"towline.yaml": tinyManifest, "train.py": "print(1)\n"}},
		{ID: "b", Message: "fix: a mistake", Files: map[string]string{"train.py": "print(2)\n"}},
	}, Tags: []gittest.Tag{{Name: "v1.0.0", Commit: "a"}}})
	job := &releaseJob{bare: bare, clone: gittest.CloneOf(t, bare), gitlab: gitlabtest.Start(t, bare)}
	job.environ = append(gittest.Environ(),
		"GITLAB_CI=true", "CI_PROJECT_ID="+gitlabtest.Project, "CI_API_V4_URL="+job.gitlab.API,
		"CI_JOB_TOKEN="+gitlabtest.Token, "CI_PIPELINE_IID=57", "CI_DEFAULT_BRANCH=main", "CI_COMMIT_REF_NAME=main",
		"CI_PIPELINE_URL=https://gitlab.example.com/p/-/pipelines/8", "TOWLINE_TARGET=local", "TOWLINE_CACHE="+t.TempDir())
	return job
}

func (j *releaseJob) towline(args ...string) (code int, stdout, stderr string) {
	var out, told bytes.Buffer
	code = cli.Main(cli.Process{
		Args: append([]string{"-C", j.clone}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &told, Environ: j.environ,
	})
	return code, out.String(), told.String()
}

// pass computes the version, and writes into the record what training would.
func (j *releaseJob) pass(t *testing.T) {
	t.Helper()
	if code, _, stderr := j.towline("version"); code != 0 {
		t.Fatalf("towline version: exit %d\n%s", code, stderr)
	}
	file := filepath.Join(j.clone, ".towline", record.File)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := record.Unmarshal(text)
	if err != nil {
		t.Fatal(err)
	}
	rec.Training = &record.Training{Job: "job", ModelData: "s3://bucket/model.tar.gz"}
	text, err = record.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestATagComesWithAGitLabRelease(t *testing.T) {
	j := newReleaseJob(t)
	j.pass(t)
	code, stdout, stderr := j.towline("tag", "--through", "releases-api")
	if code != 0 || stdout != "1.0.1\n" {
		t.Fatalf("towline tag: exit %d, stdout %q, want 1.0.1\n%s", code, stdout, stderr)
	}
	if kind := gittest.Git(t, j.bare, "cat-file", "-t", "v1.0.1"); kind != "tag" {
		t.Errorf("v1.0.1 is a %s, want an annotated tag", kind)
	}
	if text := j.gitlab.Releases()["v1.0.1"]; !strings.Contains(text, "### Fixes\n\n- a mistake") {
		t.Errorf("description = %q, want the changelog", text)
	}
	code, stdout, stderr = j.towline("tag", "--through", "releases-api")
	if code != 0 || stdout != "1.0.1\n" || !strings.Contains(stderr, "is there already") {
		t.Errorf("towline tag again: exit %d, stdout %q, want 1.0.1 found\n%s", code, stdout, stderr)
	}
}

func TestATagThatSomebodyMadeInBetweenIsLeftToThem(t *testing.T) {
	j := newReleaseJob(t)
	j.pass(t)
	j.gitlab.BeforeRelease(func(tag string) { gittest.Git(t, j.bare, "tag", tag, "main~1") })
	code, stdout, stderr := j.towline("tag", "--through", "releases-api")
	if code != 0 || stdout != "1.0.2\n" {
		t.Fatalf("towline tag: exit %d, stdout %q, want 1.0.2\n%s", code, stdout, stderr)
	}
	if kind := gittest.Git(t, j.bare, "cat-file", "-t", "v1.0.1"); kind != "commit" {
		t.Errorf("v1.0.1 is a %s, want the lightweight tag as it was", kind)
	}
	if _, made := j.gitlab.Releases()["v1.0.1"]; made {
		t.Error("there is a release on a tag of somebody else")
	}
}

func TestARefusedReleaseNamesTheSetting(t *testing.T) {
	for _, tt := range []struct {
		name    string
		failure gitlabtest.Failure
		code    int
		hint    string
	}{
		{"a protected tag", gitlabtest.Failure{Status: 403, Body: `{"message":"403 Forbidden"}`}, 4, "Protected tags"},
		{"a token that may not see the project", gitlabtest.Failure{Status: 404, Body: `{"message":"404 Project Not Found"}`}, 4, "Job token permissions"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := newReleaseJob(t)
			j.pass(t)
			tt.failure.Method = "POST"
			j.gitlab.Fail(tt.failure)
			code, _, stderr := j.towline("tag", "--through", "releases-api")
			if code != tt.code || !strings.Contains(stderr, tt.hint) || strings.Contains(stderr, gitlabtest.Token) {
				t.Errorf("towline tag: exit %d, want %d and %q\n%s", code, tt.code, tt.hint, stderr)
			}
		})
	}
}

func TestALimitOfGitLabIsWaitedFor(t *testing.T) {
	j := newReleaseJob(t)
	j.pass(t)
	j.gitlab.Fail(gitlabtest.Failure{Method: "POST", Status: 429, RetryAfter: "0", Body: "Retry later"})
	if code, stdout, stderr := j.towline("tag", "--through", "releases-api"); code != 0 || stdout != "1.0.1\n" {
		t.Errorf("towline tag: exit %d, stdout %q, want 1.0.1\n%s", code, stdout, stderr)
	}
}

func TestAVersionThatIsAlwaysTaken(t *testing.T) {
	j := newReleaseJob(t)
	j.pass(t)
	for range 20 {
		j.gitlab.Fail(gitlabtest.Failure{Method: "POST", Status: 409, Body: `{"message":"Release already exists"}`})
	}
	if code, _, stderr := j.towline("tag", "--through", "releases-api"); code != 8 || !strings.Contains(stderr, "without its tag") {
		t.Errorf("towline tag: exit %d, want 8: GitLab speaks of a release, and there is no tag\n%s", code, stderr)
	}
}
