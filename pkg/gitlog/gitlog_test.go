package gitlog_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/gitlog"
	"gitlab.com/towline/towline/pkg/internal/gittest"
	"gitlab.com/towline/towline/pkg/release"
)

func TestAFolderWithoutARepositoryIsAState(t *testing.T) {
	unborn := t.TempDir()
	gittest.Git(t, unborn, "init", "--quiet")
	for name, dir := range map[string]string{"no repository": t.TempDir(), "no commit yet": unborn} {
		repo, ok, err := gitlog.Open(t.Context(), dir, gitlog.Options{Environ: gittest.Environ()})
		if repo != nil || ok || err != nil {
			t.Errorf("%s: Open = %v, %v, %v, want not ok and no error", name, repo, ok, err)
		}
	}
}

func TestADamagedRepositoryIsAnError(t *testing.T) {
	dir, _ := gittest.Plain(t, line(2))
	if err := os.WriteFile(filepath.Join(dir, ".git", "config"), []byte("[core"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := gitlog.Open(t.Context(), dir, gitlog.Options{Environ: gittest.Environ()}); err == nil {
		t.Error("Open = nil, want an error")
	}
}

func TestWhatIsCheckedOut(t *testing.T) {
	bare, ids := gittest.Bare(t, line(3))
	dir := gittest.CloneOf(t, bare)
	sub := filepath.Join(dir, "models", "a")
	if err := os.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	repo := open(t, sub, gitlog.Options{})
	state, err := repo.State(t.Context())
	if repo.Head() != ids["c2"] || state.Ref != "main" || err != nil {
		t.Errorf("head %s, ref %q (%v), want %s and main", repo.Head(), state.Ref, err, ids["c2"])
	}
	when, err := repo.CommitTime(t.Context())
	if err != nil || when.Unix() != 1_700_000_120 {
		t.Errorf("CommitTime = %v, %v, want two minutes after the first commit", when, err)
	}
	address, err := repo.RemoteURL(t.Context())
	if err != nil || address != "file://"+bare {
		t.Errorf("RemoteURL = %q, %v, want the bare repository", address, err)
	}
	gittest.Git(t, dir, "checkout", "--quiet", "--detach", "HEAD~1")
	repo = open(t, dir, gitlog.Options{})
	if state, err := repo.State(t.Context()); state.Ref != "" || err != nil || repo.Head() != ids["c1"] {
		t.Errorf("detached: ref %q (%v), head %s, want none and %s", state.Ref, err, repo.Head(), ids["c1"])
	}
	wantVersion(t, repo, "1.0.1")
}

func TestDirty(t *testing.T) {
	dir := gittest.CloneOf(t, func() string { bare, _ := gittest.Bare(t, line(2)); return bare }())
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what, in string, want bool) {
		t.Helper()
		if got, err := open(t, filepath.Join(dir, in), gitlog.Options{}).State(t.Context()); got.Dirty != want || err != nil {
			t.Errorf("%s: dirty = %v, %v, want %v", what, got.Dirty, err, want)
		}
	}
	check("a fresh clone", "", false)
	write(".towline/release.json", "{}")
	write("sub/.towline/release.json", "{}")
	check("what Towline leaves behind", "", false)
	write("elsewhere/x", "1")
	check("a new file outside the folder", "sub", false)
	check("a new file", "", true)
	if err := os.RemoveAll(filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	write("f", "changed")
	check("a changed file", "", true)
}

func TestAFolderInsideTheRepository(t *testing.T) {
	dir, _ := gittest.Plain(t, gittest.Repo{
		Commits: []gittest.Commit{
			{ID: "a", Message: "feat: a", Files: map[string]string{"sub/models/x": "1", "y": "1"}},
			{ID: "b", Message: "feat: outside", Files: map[string]string{"y": "2"}},
			{ID: "c", Message: "fix: inside", Files: map[string]string{"sub/models/x": "2"}},
		},
		Tags: []gittest.Tag{{Name: "v1.0.0", Commit: "a"}},
	})
	sub := filepath.Join(dir, "sub")
	if err := os.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []release.Component{
		{Name: "all of the folder", Prefix: "v"},
		{Name: "the folder's models", Prefix: "v", Paths: []string{"models"}},
	} {
		if got := compute(t, open(t, sub, gitlog.Options{}), c); got.Version != "1.0.1" {
			t.Errorf("%s: version = %s, want 1.0.1", c.Name, got.Version)
		}
	}
}

func TestAWorkTreeOfItsOwn(t *testing.T) {
	bare, _ := gittest.Bare(t, line(4))
	for _, options := range [][]string{nil, {"--depth=1", "--no-tags"}} {
		dir := gittest.CloneOf(t, bare, options...)
		tree := filepath.Join(t.TempDir(), "tree")
		gittest.Git(t, dir, "worktree", "add", "--quiet", "--detach", tree)
		wantVersion(t, open(t, tree, gitlog.Options{}), "1.0.1")
	}
}

func TestASubmodule(t *testing.T) {
	inner, _ := gittest.Bare(t, line(3))
	outer := gittest.CloneOf(t, func() string { bare, _ := gittest.Bare(t, line(2)); return bare }())
	gittest.Git(t, outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "file://"+inner, "inner")
	wantVersion(t, open(t, filepath.Join(outer, "inner"), gitlog.Options{}), "1.0.1")
	wantVersion(t, open(t, outer, gitlog.Options{}), "1.0.1")
}

// The user's configuration, replaced commits and the locale change nothing.
func TestNothingOfTheUserChangesTheAnswer(t *testing.T) {
	dir, ids := gittest.Plain(t, line(4))
	home := t.TempDir()
	config := "[log]\n\tshowSignature = true\n\tfollow = true\n[i18n]\n\tlogOutputEncoding = UTF-16\n" +
		"[color]\n\tui = always\n[core]\n\tquotePath = true\n[format]\n\tpretty = oneline\n[tag]\n\tsort = -refname\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=de_DE.UTF-8", "GIT_DIR=/nowhere", "GIT_WORK_TREE=/nowhere"}
	gittest.Git(t, dir, "replace", ids["c3"], ids["c0"])
	wantVersion(t, open(t, dir, gitlog.Options{Environ: env}), "1.0.1")
}

// Where a repository belongs to somebody else, git refuses to read it unless
// it is told that the folder is safe.
func TestARepositoryOfAnotherUser(t *testing.T) {
	dir, _ := gittest.Plain(t, line(2))
	shim(t, "export GIT_TEST_ASSUME_DIFFERENT_OWNER=1")
	if err := exec.Command("git", "-C", dir, "status").Run(); err == nil {
		t.Fatal("git reads the repository by itself")
	}
	wantVersion(t, open(t, dir, gitlog.Options{}), "1.0.1")
}

func TestATagOfATag(t *testing.T) {
	dir, _ := gittest.Plain(t, line(3))
	gittest.Git(t, dir, "tag", "-a", "-m", "inner", "inner", "main~1")
	gittest.Git(t, dir, "tag", "-a", "-m", "outer", "v2.0.0", "inner")
	blob := gittest.Git(t, dir, "rev-parse", "main:f")
	gittest.Git(t, dir, "tag", "v9.0.0", blob)
	gittest.Git(t, dir, "tag", "-a", "-m", "of a blob", "v8.0.0", blob)
	wantVersion(t, open(t, dir, gitlog.Options{}), "2.0.1")
}

func TestNoGitCommand(t *testing.T) {
	dir, _ := gittest.Plain(t, line(1))
	t.Setenv("PATH", t.TempDir())
	_, _, err := gitlog.Open(t.Context(), dir, gitlog.Options{})
	if err == nil || !strings.Contains(err.Error(), "no git command") {
		t.Errorf("Open = %v, want an error about the missing git", err)
	}
}

// shim puts a script before git.
func shim(t *testing.T, before string) {
	t.Helper()
	real, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := "#!/bin/sh\n" + before + "\nexec " + real + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}
