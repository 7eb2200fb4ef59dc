package gitlog_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlog"
	"gitlab.com/towline/towline/pkg/internal/gittest"
)

// worktree is a clone with a branch main and files in it, one of them in a folder.
func worktree(t *testing.T) (string, func(name, text string)) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	gittest.Git(t, dir, "init", "--quiet", "--initial-branch", "main")
	write("models/a/train.py", "1\n")
	write("models/a/größe \"1\".py", "1\n")
	write("other.py", "1\n")
	write(".gitignore", "*.log\n")
	gittest.Git(t, dir, "add", ".")
	gittest.Git(t, dir, "commit", "--quiet", "-m", "first")
	return dir, write
}

func TestFilesAreThoseThatGitDoesNotIgnore(t *testing.T) {
	dir, write := worktree(t)
	write("models/a/new.py", "1\n")
	write("models/a/run.log", "1\n")
	files, err := open(t, filepath.Join(dir, "models", "a"), gitlog.Options{}).Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files.All)
	slices.Sort(files.Tracked)
	want := gitlog.Files{Tracked: []string{"größe \"1\".py", "train.py"}, All: []string{"größe \"1\".py", "new.py", "train.py"}}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("Files of a folder (-want +got):\n%s", diff)
	}
}

func TestChangedSinceTheMergeBase(t *testing.T) {
	dir, write := worktree(t)
	first := open(t, dir, gitlog.Options{}).Head()
	gittest.Git(t, dir, "checkout", "--quiet", "-b", "feature")
	write("models/a/train.py", "2\n")
	gittest.Git(t, dir, "commit", "--quiet", "-am", "changed")
	gittest.Git(t, dir, "checkout", "--quiet", "main")
	write("other.py", "2\n")
	gittest.Git(t, dir, "commit", "--quiet", "-am", "changed on main")
	gittest.Git(t, dir, "checkout", "--quiet", "feature")
	gittest.Git(t, dir, "rm", "--quiet", "models/a/größe \"1\".py")
	write("new.py", "1\n")
	repo := open(t, dir, gitlog.Options{})
	for _, base := range []string{"main", first, ""} {
		changed, err := repo.ChangedSince(t.Context(), base)
		if diff := cmp.Diff([]string{"models/a/train.py", "new.py"}, changed); diff != "" || err != nil {
			t.Errorf("ChangedSince(%s): %v (-want +got):\n%s", base, err, diff)
		}
	}
	inFolder, err := open(t, filepath.Join(dir, "models"), gitlog.Options{}).ChangedSince(t.Context(), "main")
	if diff := cmp.Diff([]string{"a/train.py"}, inFolder); diff != "" || err != nil {
		t.Errorf("ChangedSince in a folder: %v (-want +got):\n%s", err, diff)
	}
	for _, base := range []string{"nothing", "0123456789012345678901234567890123456789", "--output=/tmp/x"} {
		if _, err := repo.ChangedSince(t.Context(), base); fault.KindOf(err) != fault.Missing || fault.HintOf(err) == "" {
			t.Errorf("ChangedSince(%s) = %v, want it to be missing, with a hint", base, err)
		}
	}
}
