package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ownPipeline is this project's own pipeline, rendered.
func ownPipeline(t *testing.T, inputs tree) tree {
	t.Helper()
	config, err := ourGitLab().render(componentProject, ".gitlab-ci.yml", inputs)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// This project runs the components of its own commit, as GitLab takes them.
func TestOwnPipeline(t *testing.T) {
	schema := ciSchema(t)
	for _, release := range []string{"", "1.2.0"} {
		config := ownPipeline(t, tree{"release": release})
		if err := schema.Validate(any(visible(withExtends(t, config)))); err != nil {
			t.Error(err)
		}
		all, err := jobs(config)
		if err != nil {
			t.Fatal(err)
		}
		var stages []string
		for _, stage := range list(config["stages"]) {
			stages = append(stages, stage.(string))
		}
		for _, problem := range examineOrder(all, stages) {
			t.Error(problem)
		}
		for name, job := range all {
			problem := func(format string, args ...any) { t.Errorf(name+": "+format, args...) }
			if strings.HasPrefix(name, "example-") {
				examineJob(job, problem)
			}
			if job["timeout"] == nil || job["interruptible"] == nil {
				problem("does not say how long it may take, or whether it is interruptible")
			}
			if image := job["image"]; image == nil || strings.Contains(image.(string), "latest") {
				problem("image %v is not named by version", image)
			}
		}
	}
}

// Each component that needs neither AWS nor another project runs in it.
func TestOwnPipelineRunsItsComponents(t *testing.T) {
	all, err := jobs(ownPipeline(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := []string{"doctor", "fetch", "tag", "trigger"}
	for _, name := range templates(t) {
		whole := headerOf(t, name).Spec.Inputs["build-stage"] != nil || name == "model-trigger"
		if all["example-"+name] == nil && !whole && !slices.Contains(elsewhere, name) {
			t.Errorf("no job runs the component %s", name)
		}
	}
}

// A release is made by hand, on the default branch, and by nothing else.
func TestWhenOwnPipelineReleases(t *testing.T) {
	for _, tt := range []struct {
		occasion, release string
		want              []string
	}{
		{"main", "1.2.0", []string{"pin", "release"}},
		{"main", "", nil},
		{"merge request", "1.2.0", nil},
		{"schedule", "", nil},
	} {
		config := ownPipeline(t, tree{"release": tt.release})
		run := planned(t, config, occasions()[tt.occasion])
		released := slices.DeleteFunc(run, func(name string) bool { return name != "pin" && name != "release" })
		if diff := cmp.Diff(tt.want, released, cmpEmpty); diff != "" {
			t.Errorf("%s, release %q (-want +got):\n%s", tt.occasion, tt.release, diff)
		}
	}
	workflow := tree{"rules": ownPipeline(t, nil)["workflow"].(tree)["rules"]}
	for name, want := range map[string]string{"main": "on_success", "merge request": "on_success", "tag": "never", "other branch": "never"} {
		if when, err := occasions()[name].when(workflow); err != nil || when != want {
			t.Errorf("%s starts a pipeline: %s, %v, want %s", name, when, err, want)
		}
	}
	for _, wrong := range []string{"v1.2.0", "1.2", "1.2.0-rc.1", "1.2.0; rm -rf /"} {
		if _, err := ourGitLab().render(componentProject, ".gitlab-ci.yml", tree{"release": wrong}); err == nil {
			t.Errorf("release %q is taken, want it refused before anything runs", wrong)
		}
	}
}

const releaseImage = "registry.example.com/towline/towline@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// The release job's script pins the components in a commit of its own, pushes
// it as a branch, and does so twice with the same result.
func TestReleaseCommit(t *testing.T) {
	t.Parallel()
	origin := filepath.Join(t.TempDir(), "towline.git")
	project := filepath.Join(t.TempDir(), "towline")
	for _, part := range []string{"templates", "cmd/pin", ".ci"} {
		if err := os.CopyFS(filepath.Join(project, part), os.DirFS(filepath.Join("..", part))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"README.md", "go.mod", "go.sum", ".gitignore"} {
		text, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(project, file), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	env := append(os.Environ(), "VERSION=1.2.0", "TOWLINE_IMAGE="+releaseImage, "CI_JOB_TOKEN=no-secret", "CI_REGISTRY_IMAGE=registry.example.com/towline/towline",
		"CI_PROJECT_URL=file://"+strings.TrimSuffix(origin, ".git"), "GIT_CONFIG_GLOBAL="+os.DevNull)
	run := func(name string, args ...string) string {
		t.Helper()
		var stderr bytes.Buffer
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env, cmd.Stderr = project, env, &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", cmd, err, out, &stderr)
		}
		return strings.TrimSpace(string(out))
	}
	run("git", "init", "--quiet", "--bare", origin)
	run("git", "init", "--quiet", "--initial-branch", "main")
	run("git", "add", "--all")
	run("git", "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message", "feat(cli): something new")
	source := run("git", "rev-parse", "HEAD")

	run(".ci/release")
	first := run("git", "-C", origin, "rev-parse", "release/1.2.0")
	if got := run("cat", "release.env"); got != "RELEASE_COMMIT="+first {
		t.Errorf("release.env says %q, want the commit %s", got, first)
	}
	if parent := run("git", "rev-parse", first+"^"); parent != source {
		t.Errorf("the release stands on %s, want %s", parent, source)
	}
	changed := strings.Fields(run("git", "diff", "--name-only", source, first))
	for _, file := range changed {
		if file != "README.md" && !strings.HasPrefix(file, "templates/") {
			t.Errorf("the release changes %s, want the components and their pages alone", file)
		}
	}
	if text := run("git", "show", first+":templates/lint.yml"); !strings.Contains(text, releaseImage) {
		t.Error("the component lint is not pinned in the release's commit")
	}
	if notes := run("cat", "release-notes.md"); !strings.Contains(notes, releaseImage) || !strings.Contains(notes, "- feat(cli): something new") {
		t.Errorf("the notes name neither image nor what is new:\n%s", notes)
	}

	run("git", "reset", "--quiet", "--hard", source)
	stranger := exec.Command(".ci/release")
	stranger.Dir, stranger.Env = project, append(env, "TOWLINE_IMAGE="+strings.Replace(releaseImage, "towline/", "stranger/", 1))
	if out, err := stranger.CombinedOutput(); err == nil || !strings.Contains(string(out), "no variable TOWLINE_IMAGE may be set") {
		t.Errorf("an image of another project is pinned: %v\n%s", err, out)
	}
	run(".ci/release")
	if again := run("git", "-C", origin, "rev-parse", "release/1.2.0"); again != first {
		t.Errorf("made again, the release is %s, want %s", again, first)
	}
}
