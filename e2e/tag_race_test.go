package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gitlab.com/towline/towline/pkg/cli"
	"gitlab.com/towline/towline/pkg/record"
)

// raceTrack is a bare repository with one released commit, and what every job needs.
type raceTrack struct {
	dir, bare string
	environ   []string
	rec       record.Record // of a retraining that has passed
}

func newRaceTrack(t *testing.T) *raceTrack {
	t.Helper()
	track := &raceTrack{dir: t.TempDir()}
	track.bare = filepath.Join(track.dir, "remote.git")
	track.environ = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + track.dir, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
	}
	seed := filepath.Join(track.dir, "seed")
	track.git(t, track.dir, "init", "-q", "--bare", "-b", "main", track.bare)
	track.git(t, track.dir, "clone", "-q", "file://"+track.bare, seed)
	for name, text := range map[string]string{
		"towline.yaml": "apiVersion: towline/v1\nproject: tiny\nmodels:\n  - name: mean\n    train: {command: [python, train.py]}\n",
		"train.py":     "print(1)\n",
	} {
		if err := os.WriteFile(filepath.Join(seed, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	track.git(t, seed, "add", ".")
	track.git(t, seed, "commit", "-q", "-m", "feat: a model")
	track.git(t, seed, "tag", "v1.0.0")
	track.git(t, seed, "push", "-q", "--tags", "origin", "HEAD:main")
	if code, _, told := track.inProcess(seed, "version", "--retrain"); code != 0 {
		t.Fatalf("towline version: exit %d\n%s", code, told)
	}
	text, err := os.ReadFile(filepath.Join(seed, ".towline", record.File))
	if err != nil {
		t.Fatal(err)
	}
	if track.rec, err = record.Unmarshal(text); err != nil {
		t.Fatal(err)
	}
	track.rec.Training = &record.Training{Job: "job", ModelData: "s3://bucket/model.tar.gz"}
	return track
}

func (r *raceTrack) git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := r.try(dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (r *raceTrack) try(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, r.environ
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// job is a clone with the record of a retraining of its own.
func (r *raceTrack) job(t *testing.T, n int) string {
	t.Helper()
	clone := filepath.Join(r.dir, fmt.Sprintf("job-%d", n))
	r.git(t, r.dir, "clone", "-q", "--depth", "1", "--no-tags", "file://"+r.bare, clone)
	rec := r.rec
	rec.Identity = fmt.Sprintf("%064x", n)
	rec.Candidate = fmt.Sprintf("1.0.1-cand.%d", n)
	text, err := record.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(clone, ".towline"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(clone, ".towline", record.File), text, 0o644); err != nil {
		t.Fatal(err)
	}
	return clone
}

// inProcess runs towline within this process.
func (r *raceTrack) inProcess(dir string, args ...string) (int, string, string) {
	var out, told bytes.Buffer
	code := cli.Main(cli.Process{
		Args: append([]string{"-C", dir}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &told, Environ: r.environ,
	})
	return code, strings.TrimSpace(out.String()), told.String()
}

// process runs towline as a process of its own.
func (r *raceTrack) process(dir string, args ...string) (int, string, string) {
	cmd := exec.Command("towline", append([]string{"-C", dir}, args...)...)
	var out, told bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = r.environ, &out, &told
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		return -1, "", err.Error()
	}
	return cmd.ProcessState.ExitCode(), strings.TrimSpace(out.String()), told.String()
}

// stranger takes the next version with a lightweight tag, without towline. Two
// strangers may believe to have the same one: to git their tags are equal.
func (r *raceTrack) stranger(t *testing.T) {
	t.Helper()
	for range 100 {
		tags := strings.Fields(r.git(t, r.bare, "tag", "--list", "v1.0.*"))
		if _, err := r.try(r.bare, "push", "-q", r.bare, fmt.Sprintf("main:refs/tags/v1.0.%d", len(tags))); err == nil {
			return
		}
	}
	t.Error("the stranger got no tag")
}

// Jobs that release at the same time get consecutive versions, none twice,
// also where somebody else pushes lightweight tags in between.
func TestTagsInARace(t *testing.T) {
	track := newRaceTrack(t)
	var mu sync.Mutex
	var taken []string
	race := func(first, jobs, strangers int, run func(dir string, args ...string) (int, string, string)) {
		var clones []string
		for n := range jobs {
			clones = append(clones, track.job(t, first+n))
		}
		var wait sync.WaitGroup
		for _, clone := range clones {
			wait.Go(func() {
				code, version, told := run(clone, "tag")
				if code != 0 {
					t.Errorf("towline tag: exit %d\n%s", code, told)
				}
				mu.Lock()
				defer mu.Unlock()
				taken = append(taken, version)
			})
		}
		for range strangers {
			wait.Go(func() { track.stranger(t) })
		}
		wait.Wait()
	}
	race(1, 8, 2, track.process)
	race(101, 32, 3, track.inProcess)

	if unique := slices.Compact(slices.Sorted(slices.Values(taken))); len(unique) != 40 {
		t.Errorf("%d jobs have %d versions: %v", len(taken), len(unique), unique)
	}
	tags := strings.Fields(track.git(t, track.bare, "tag", "--list"))
	if strangers := len(tags) - 1 - 40; strangers < 1 || strangers > 5 {
		t.Errorf("%d tags, want the first, 40 of jobs and those of strangers", len(tags))
	}
	for n := range tags {
		if !slices.Contains(tags, fmt.Sprintf("v1.0.%d", n)) {
			t.Errorf("no v1.0.%d: the versions are not consecutive", n)
		}
	}
	for _, version := range taken {
		if kind := track.git(t, track.bare, "cat-file", "-t", "v"+version); kind != "tag" {
			t.Errorf("v%s is a %s, and a job believes to have it", version, kind)
		}
	}
}
