package report_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gitlab.com/towline/towline/pkg/report"
)

// git is a second opinion: it applies what Diff writes.
func TestDiffIsWhatGitApplies(t *testing.T) {
	for _, tt := range []struct{ name, old, text string }{
		{"a line changes", "a\nb\nc\nd\ne\nf\ng\nh\n", "a\nb\nc\nd\nX\nf\ng\nh\n"},
		{"lines are added at the end", "a\n", "a\nb\nc\n"},
		{"lines are taken from the top", "a\nb\nc\n", "c\n"},
		{"two places change", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n", "A\nb\nc\nd\ne\nf\ng\nh\ni\nj\nK\n"},
		{"no newline at the end before", "a\nb", "a\nb\n"},
		{"no newline at the end after", "a\nb\n", "a\nb"},
		{"no newline at the end at all", "a\nb\nc", "a\nB\nc"},
		{"everything goes", "a\nb\n", ""},
		{"something comes into an empty file", "", "a\n"},
		{"carriage returns stay", "a\r\nb\r\n", "a\r\nc\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "f.txt")
			if err := os.WriteFile(file, []byte(tt.old), 0o644); err != nil {
				t.Fatal(err)
			}
			diff := report.Diff("f.txt", []byte(tt.old), []byte(tt.text))
			apply := exec.CommandContext(t.Context(), "git", "apply", "-")
			apply.Dir, apply.Stdin = dir, bytes.NewReader(diff)
			if out, err := apply.CombinedOutput(); err != nil {
				t.Fatalf("git apply: %v: %s\n%s", err, out, diff)
			}
			got, err := os.ReadFile(file)
			if os.IsNotExist(err) {
				err = nil // git removes a file that is left empty by no other word
			}
			if err != nil || string(got) != tt.text {
				t.Errorf("after git apply: %q, %v, want %q", got, err, tt.text)
			}
		})
	}
	if diff := report.Diff("f.txt", []byte("a\n"), []byte("a\n")); diff != nil {
		t.Errorf("Diff of equal texts = %q, want nothing", diff)
	}
	if diff := string(report.Diff("new.txt", nil, []byte("a\n"))); diff != "--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1,1 @@\n+a\n" {
		t.Errorf("Diff of a new file = %q", diff)
	}
}
