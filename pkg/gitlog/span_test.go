package gitlog_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlog"
	"gitlab.com/towline/towline/pkg/internal/gittest"
	"gitlab.com/towline/towline/pkg/release"
)

func TestState(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, dir string)
		want    gitlog.State
	}{
		{"a clean branch", func(*testing.T, string) {}, gitlog.State{Ref: "main"}},
		{"a commit by itself", func(t *testing.T, dir string) { gittest.Git(t, dir, "checkout", "-q", "--detach") }, gitlog.State{}},
		{"a new file", func(t *testing.T, dir string) { write(t, dir, "new") }, gitlog.State{Ref: "main", Dirty: true}},
		{"a file with a line break and a hash in its name", func(t *testing.T, dir string) { write(t, dir, "# branch.head x\ny") }, gitlog.State{Ref: "main", Dirty: true}},
		{"what Towline left", func(t *testing.T, dir string) { write(t, dir, ".towline/release.json") }, gitlog.State{Ref: "main"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, _ := gittest.Clone(t, line(3))
			tt.prepare(t, dir)
			got, err := open(t, dir, gitlog.Options{}).State(t.Context())
			if err != nil || got != tt.want {
				t.Errorf("State = %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func write(t *testing.T, dir, name string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTagged(t *testing.T) {
	dir, _ := gittest.Clone(t, line(3))
	got, err := open(t, dir, gitlog.Options{}).Tagged(t.Context(), []string{"a", "v1.0.0", "b"})
	if err != nil || got["a"] || got["b"] || !got["v1.0.0"] {
		t.Errorf("Tagged = %v, %v, want v1.0.0 alone", got, err)
	}
}

func TestHistorySince(t *testing.T) {
	r := line(6)
	r.Tags = []gittest.Tag{{Name: "v1.0.0", Commit: "c0"}, {Name: "v1.1.0", Commit: "c3"}}
	bare, ids := gittest.Bare(t, r)
	tags := []release.Tag{{Name: "v1.1.0", Commit: ids["c3"]}, {Name: "v1.0.0", Commit: ids["c0"]}}
	for _, tt := range []struct {
		name    string
		options []string
	}{{"a complete clone", nil}, {"a clone of depth 1", []string{"--depth=1", "--no-tags"}}} {
		t.Run(tt.name, func(t *testing.T) {
			repo := open(t, gittest.CloneOf(t, bare, tt.options...), gitlog.Options{})
			h, err := repo.HistorySince(t.Context(), single, ids["c2"], tags)
			if err != nil || len(h.Tags) != 1 || h.Tags[0].Name != "v1.0.0" || len(h.Commits) != 2 {
				t.Errorf("HistorySince(c2) = %+v, %v, want two commits after v1.0.0", h, err)
			}
			h, err = repo.HistorySince(t.Context(), single, ids["c5"], tags)
			if err != nil || len(h.Tags) != 1 || h.Tags[0].Name != "v1.1.0" || len(h.Commits) != 2 {
				t.Errorf("HistorySince(c5) = %+v, %v, want two commits after v1.1.0", h, err)
			}
			if h, err = repo.HistorySince(t.Context(), single, ids["c2"], tags[:1]); err != nil || h.Tags != nil {
				t.Errorf("HistorySince(c2, v1.1.0) = %+v, %v, want no base", h, err)
			}
		})
	}
}

// A way to make tags that is no push shares the loop with it.
func TestAllocateThroughAnotherPublisher(t *testing.T) {
	bare, ids := gittest.Bare(t, line(3))
	repo := open(t, gittest.CloneOf(t, bare), gitlog.Options{})
	a := allocation(single)
	tries := 0
	a.Publish = func(_ context.Context, tags []gitlog.NewTag) error {
		if tries++; tries < 3 {
			return gitlog.ErrTaken
		}
		if len(tags) != 1 || tags[0].Name != "v1.0.1" || tags[0].Commit != ids["c2"] || !strings.Contains(tags[0].Message, tags[0].Claim) {
			t.Errorf("Publish(%+v), want v1.0.1 on c2 with its claim in the message", tags)
		}
		return nil
	}
	if results, err := repo.Allocate(t.Context(), a); err != nil || results[0].Version != "1.0.1" || tries != 3 {
		t.Errorf("Allocate = %+v, %v after %d tries, want 1.0.1 after 3", results, err, tries)
	}
}

func TestAllocateThatAlwaysLoses(t *testing.T) {
	bare, _ := gittest.Bare(t, line(3))
	a := allocation(single)
	a.Attempts = 3
	a.Publish = func(context.Context, []gitlog.NewTag) error { return gitlog.ErrTaken }
	_, err := open(t, gittest.CloneOf(t, bare), gitlog.Options{}).Allocate(t.Context(), a)
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.HintOf(err), "resource_group") {
		t.Errorf("Allocate = %v (exit %d), want exit 8 and a hint", err, fault.KindOf(err))
	}
}

func TestAllocateForACommitThatTheRemoteLacks(t *testing.T) {
	bare, _ := gittest.Bare(t, line(3))
	clone := gittest.CloneOf(t, bare)
	gittest.Git(t, clone, "commit", "-q", "--allow-empty", "-m", "fix: not pushed")
	write(t, clone, "file")
	gittest.Git(t, clone, "add", "file")
	gittest.Git(t, clone, "commit", "-q", "-m", "fix: not pushed either")
	_, err := open(t, clone, gitlog.Options{}).Allocate(t.Context(), allocation(single))
	if fault.KindOf(err) != fault.Missing || !strings.Contains(fault.HintOf(err), "push the branch first") {
		t.Errorf("Allocate = %v (exit %d, hint %q), want exit 5 and the way out", err, fault.KindOf(err), fault.HintOf(err))
	}
}

func TestAllocateBesideATagOfTheFoldersName(t *testing.T) {
	r := line(3)
	r.Tags = []gittest.Tag{{Name: "a", Commit: "c0"}}
	bare, _ := gittest.Bare(t, r)
	repo := open(t, gittest.CloneOf(t, bare, "--depth=1", "--no-tags"), gitlog.Options{})
	_, err := repo.Allocate(t.Context(), allocation(release.Component{Name: "a", Prefix: "a/v"}))
	if fault.KindOf(err) != fault.Repository || !strings.Contains(fault.HintOf(err), "delete or rename") {
		t.Errorf("Allocate = %v (exit %d, hint %q), want exit 3 and the tag in the way", err, fault.KindOf(err), fault.HintOf(err))
	}
}
