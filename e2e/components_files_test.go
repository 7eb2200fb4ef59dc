package e2e_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// reportOf says by which report GitLab reads a file that a command leaves, and
// nil for one that is for people.
func reportOf(file string) []string {
	switch base := filepath.Base(file); {
	case base == "codequality.json":
		return []string{"codequality"}
	case base == "metrics.txt":
		return []string{"metrics"}
	case base == "coverage.xml":
		return []string{"coverage_report"}
	case base == "annotations.json":
		return []string{"annotations"}
	case strings.HasPrefix(base, "gl-sbom-"):
		return []string{"cyclonedx"}
	case strings.HasSuffix(base, ".xml"):
		return []string{"junit"}
	case strings.HasSuffix(base, ".env"):
		return []string{"dotenv"}
	}
	return nil
}

// Each component collects the files that its command leaves, as the reports
// that they are, and no report that nobody writes.
func TestComponentsCollectWhatIsWritten(t *testing.T) {
	t.Parallel()
	for _, models := range []int{1, 2} {
		t.Run(fmt.Sprintf("models: %d", models), func(t *testing.T) {
			t.Parallel()
			folder := tinyRepository(t, models)
			for _, name := range []string{"lint", "version", "handover", "package", "push", "train", "gate", "deploy"} {
				inputs := tree{}
				for key, value := range (tree{"target": "local", "env": "local"}) {
					if headerOf(t, name).Spec.Inputs[key] != nil {
						inputs[key] = value
					}
				}
				all, err := jobs(rendered(t, name, inputs))
				if err != nil {
					t.Fatal(err)
				}
				collected(t, folder, name, all[name])
			}
		})
	}
}

// tinyRepository is a repository of one or two small models, in git.
func tinyRepository(t *testing.T, models int) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "tiny")
	if err := copyTracked(folder, filepath.Join("testdata", "tiny")); err != nil {
		t.Fatal(err)
	}
	if models == 2 {
		file := filepath.Join(folder, "towline.yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, rest, _ := strings.Cut(string(text), "  - name: mean\n")
		model, tail, _ := strings.Cut(rest, "environments:")
		text = []byte(head + "  - name: mean\n" + model + "  - name: middle\n" + model + "environments:" + tail)
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch", "main"},
		{"add", "--all"},
		{"-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", "feat: means"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	return folder
}

// collected runs a job as a runner does, and holds what it leaves against what
// it collects.
func collected(t *testing.T, folder, name string, job tree) {
	t.Helper()
	before := left(t, folder)
	play(t, folder, job)
	artifacts := job["artifacts"].(tree)
	reports, _ := artifacts["reports"].(tree)
	written := map[string]bool{}
	for file, content := range left(t, folder) {
		if before[file] == content {
			continue
		}
		if !slices.ContainsFunc(list(artifacts["paths"]), func(p any) bool { return collects(fmt.Sprint(p), file) }) {
			t.Errorf("%s leaves %s, which is not collected", name, file)
		}
		for _, kind := range reportOf(file) {
			written[kind] = true
			if kind != "dotenv" && !slices.ContainsFunc(patternsOf(reports[kind]), func(p string) bool { return glob(p, file) }) {
				t.Errorf("%s leaves %s, which is no %s report", name, file, kind)
			}
		}
	}
	for kind := range reports {
		if !written[kind] && kind != "annotations" { // of most jobs there are links in AWS only
			t.Errorf("%s collects a %s report, which its command does not write", name, kind)
		}
	}
}

// play runs the script of a job in the folder.
func play(t *testing.T, folder string, job tree) {
	t.Helper()
	variables := map[string]string{"CI_PROJECT_DIR": folder}
	env := append(os.Environ(), "HOME="+filepath.Dir(folder), "CI_PROJECT_DIR="+folder,
		"GITLAB_CI=true", "CI_PIPELINE_IID=7", "CI_JOB_ID=1", "CI_JOB_URL=https://gitlab.example.com/tiny/-/jobs/1", "CI_PROJECT_URL=https://gitlab.example.com/tiny")
	given, _ := job["variables"].(tree)
	for key, value := range given {
		env = append(env, key+"="+expand(fmt.Sprint(value), variables))
	}
	for _, line := range list(job["script"]) {
		var output bytes.Buffer
		cmd := exec.Command("sh", "-ec", fmt.Sprint(line))
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = folder, env, &output, &output
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, &output)
		}
	}
}

// left are the files that commands leave for later jobs and for GitLab, by
// name. The local cloud, the images and caches are not among them.
func left(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(filepath.Join(folder, ".towline"), func(path string, entry fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains([]string{"local", "image", "cache"}, entry.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if entry.Name() != "lock" && entry.Name() != ".gitignore" {
			files[filepath.ToSlash(name)] = string(content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// collects says whether a path of artifacts names the file, or a folder above it.
func collects(pattern, file string) bool {
	for at := file; at != "."; at = filepath.ToSlash(filepath.Dir(at)) {
		if glob(pattern, at) {
			return true
		}
	}
	return false
}

// patternsOf are the files of a report, which GitLab takes in three forms.
func patternsOf(report any) []string {
	if entry, ok := report.(tree); ok {
		report = entry["path"]
	}
	var patterns []string
	for _, pattern := range list(report) {
		patterns = append(patterns, fmt.Sprint(pattern))
	}
	return patterns
}
