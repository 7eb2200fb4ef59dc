package gitlog_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlog"
	"gitlab.com/towline/towline/pkg/internal/gittest"
	"gitlab.com/towline/towline/pkg/release"
)

var single = release.Component{Name: "m", Prefix: "v"}

// line is a repository of n commits, each a fix, with a tag v1.0.0 on the first.
func line(n int) gittest.Repo {
	r := gittest.Repo{Tags: []gittest.Tag{{Name: "v1.0.0", Commit: "c0"}}}
	for i := range n {
		id := "c" + string(rune('0'+i))
		r.Commits = append(r.Commits, gittest.Commit{ID: id, Message: "fix: " + id, Files: map[string]string{"f": id}})
	}
	return r
}

func compute(t *testing.T, repo *gitlog.Repo, c release.Component) release.Result {
	t.Helper()
	h, err := repo.History(t.Context(), c)
	if err != nil {
		t.Fatalf("History: %v (%s)", err, fault.HintOf(err))
	}
	result, err := release.Compute(c, h, release.Options{})
	if err != nil {
		t.Fatalf("Compute: %v", err)
	}
	return result
}

func wantVersion(t *testing.T, repo *gitlog.Repo, want string) {
	t.Helper()
	if got := compute(t, repo, single); got.Version != want || !got.Exact {
		t.Errorf("version = %s, exact %v, want %s, exact\nreasons: %v", got.Version, got.Exact, want, got.Reasons)
	}
}

func TestAKeptHistoryFollowsItsRemote(t *testing.T) {
	bare, _ := gittest.Bare(t, line(5))
	cache := t.TempDir()
	shallow := gittest.CloneOf(t, bare, "--depth=1", "--no-tags")
	repo := open(t, shallow, gitlog.Options{Cache: cache})
	wantVersion(t, repo, "1.0.1")

	gittest.Git(t, bare, "tag", "-a", "-m", "two", "v2.0.0", "main~1")
	gittest.Git(t, bare, "tag", "other/v9.0.0", "main~1")
	wantVersion(t, repo, "2.0.1")

	gittest.Git(t, bare, "tag", "-d", "v2.0.0")
	wantVersion(t, repo, "1.0.1")

	if got := gittest.Git(t, shallow, "for-each-ref", "refs/tags"); got != "" {
		t.Errorf("the checkout got tags: %s", got)
	}
	if got := gittest.Git(t, shallow, "rev-list", "--count", "HEAD"); got != "1" {
		t.Errorf("the checkout has %s commits, want 1", got)
	}
}

func TestADamagedKeptHistoryIsFetchedAnew(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"files are lost":    os.Remove,
		"files are cut off": func(path string) error { return os.Truncate(path, 40) },
		"files are garbled": func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("x"), 500), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			bare, _ := gittest.Bare(t, line(5))
			cache := t.TempDir()
			repo := open(t, gittest.CloneOf(t, bare, "--depth=1", "--no-tags"), gitlog.Options{Cache: cache})
			wantVersion(t, repo, "1.0.1")
			damagePacks(t, cache, damage)
			wantVersion(t, repo, "1.0.1")
		})
	}
}

func damagePacks(t *testing.T, cache string, damage func(path string) error) {
	t.Helper()
	err := filepath.WalkDir(cache, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".pack") {
			return err
		}
		if err := os.Chmod(path, 0o644); err != nil {
			return err
		}
		return damage(path)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What lies in a cache may come from a job of somebody else.
func TestAKeptHistoryCannotConfigureGit(t *testing.T) {
	bare, _ := gittest.Bare(t, line(3))
	cache, trap := t.TempDir(), filepath.Join(t.TempDir(), "sprung")
	repo := open(t, gittest.CloneOf(t, bare, "--depth=1", "--no-tags"), gitlog.Options{Cache: cache})
	wantVersion(t, repo, "1.0.1")
	kept, err := filepath.Glob(filepath.Join(cache, "history", "*.git"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %v, %v, want one repository", kept, err)
	}
	script := "#!/bin/sh\ntouch " + trap + "\n"
	hook := filepath.Join(kept[0], "hooks", "reference-transaction")
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hook, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	gittest.Git(t, kept[0], "config", "core.fsmonitor", hook)
	gittest.Git(t, kept[0], "config", "remote.origin.uploadpack", hook)
	gittest.Git(t, kept[0], "config", "remote.origin.url", "ext::"+hook)
	wantVersion(t, repo, "1.0.1")
	if _, err := os.Stat(trap); err == nil {
		t.Error("a file in the cache was run")
	}
}

func TestACompleteCloneNeedsNoNetwork(t *testing.T) {
	bare, _ := gittest.Bare(t, line(5))
	dir := gittest.CloneOf(t, bare)
	if err := os.Rename(bare, bare+".away"); err != nil {
		t.Fatal(err)
	}
	wantVersion(t, open(t, dir, gitlog.Options{}), "1.0.1")
}

func TestACloneWithoutTagsAsksItsRemote(t *testing.T) {
	bare, _ := gittest.Bare(t, line(5))
	dir := gittest.CloneOf(t, bare, "--no-tags")
	wantVersion(t, open(t, dir, gitlog.Options{}), "1.0.1")
}

func TestHistoryThatCannotBeCompleted(t *testing.T) {
	bare, _ := gittest.Bare(t, line(5))
	shallow := gittest.CloneOf(t, bare, "--depth=2")
	for _, tt := range []struct {
		name   string
		break_ func()
		want   string
	}{
		{"the remote is gone", func() { gittest.Git(t, shallow, "remote", "set-url", "origin", "file:///nowhere.git") }, "/nowhere.git"},
		{"there is no remote", func() { gittest.Git(t, shallow, "remote", "remove", "origin") }, `no remote "origin"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.break_()
			_, err := open(t, shallow, gitlog.Options{}).History(t.Context(), single)
			if fault.KindOf(err) != fault.Missing || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("History = %v (exit %d), want exit 5 with %q", err, fault.KindOf(err), tt.want)
			}
			if !strings.Contains(fault.HintOf(err), "GIT_DEPTH: 0") {
				t.Errorf("hint = %q, want the setting GIT_DEPTH: 0", fault.HintOf(err))
			}
			h, err := open(t, shallow, gitlog.Options{AllowShallow: true}).History(t.Context(), single)
			if err != nil || h.Exact {
				t.Errorf("History with AllowShallow: exact %v, %v, want an answer that is not exact", h.Exact, err)
			}
		})
	}
}

func TestAllowShallowStillPrefersTheWholeHistory(t *testing.T) {
	bare, _ := gittest.Bare(t, line(5))
	repo := open(t, gittest.CloneOf(t, bare, "--depth=1", "--no-tags"), gitlog.Options{AllowShallow: true})
	wantVersion(t, repo, "1.0.1")
}

func TestACommitThatWasNotPushed(t *testing.T) {
	bare, _ := gittest.Bare(t, line(5))
	gittest.Git(t, bare, "config", "uploadpack.allowAnySHA1InWant", "false")
	shallow := gittest.CloneOf(t, bare, "--depth=2", "--no-tags")
	gittest.Git(t, shallow, "commit", "--quiet", "--allow-empty", "-m", "feat: mine")
	wantVersion(t, open(t, shallow, gitlog.Options{}), "1.1.0")
}

func TestAServerWithoutFilters(t *testing.T) {
	bare, _ := gittest.Bare(t, line(5))
	gittest.Git(t, bare, "config", "uploadpack.allowFilter", "false")
	wantVersion(t, open(t, gittest.CloneOf(t, bare, "--depth=1", "--no-tags"), gitlog.Options{}), "1.0.1")
}

func TestAServerThatSendsListsOfFiles(t *testing.T) {
	bare, _ := gittest.Bare(t, line(5))
	gittest.Git(t, bare, "config", "uploadpackfilter.tree.allow", "false")
	repo := open(t, gittest.CloneOf(t, bare, "--depth=1", "--no-tags"), gitlog.Options{})
	wantVersion(t, repo, "1.0.1")
	if got := compute(t, repo, release.Component{Name: "f", Prefix: "v", Paths: []string{"f"}}); got.Version != "1.0.1" {
		t.Errorf("version = %s, want 1.0.1", got.Version)
	}
}

func TestACloneWithoutListsOfFiles(t *testing.T) {
	bare, _ := gittest.Bare(t, line(5))
	dir := gittest.CloneOf(t, bare, "--filter=tree:0", "--no-checkout")
	if got := compute(t, open(t, dir, gitlog.Options{}), release.Component{Name: "f", Prefix: "v", Paths: []string{"f"}}); got.Version != "1.0.1" {
		t.Errorf("version = %s, want 1.0.1", got.Version)
	}
}

func TestSeveralComponentsAtOnce(t *testing.T) {
	r := line(5)
	r.Tags = nil
	var components []release.Component
	for i := range 12 {
		c := release.Component{Name: string(rune('a' + i)), Paths: []string{"f"}}
		c.Prefix = release.Prefix(c.Name, 12)
		components = append(components, c)
		r.Tags = append(r.Tags, gittest.Tag{Name: c.TagName("1.0.0"), Commit: r.Commits[i%4].ID})
	}
	bare, _ := gittest.Bare(t, r)
	for _, options := range [][]string{nil, {"--depth=1", "--no-tags"}} {
		repo := open(t, gittest.CloneOf(t, bare, options...), gitlog.Options{})
		hs, err := repo.Histories(t.Context(), components, repo.Head())
		if err != nil {
			t.Fatal(err)
		}
		for i, h := range hs {
			if want := 4 - i%4; len(h.Commits) != want || !h.Exact {
				t.Errorf("%s: %d commits, exact %v, want %d, exact", components[i].Name, len(h.Commits), h.Exact, want)
			}
		}
	}
}

func TestAnEndedContextStopsAFetch(t *testing.T) {
	bare, _ := gittest.Bare(t, line(3))
	repo := open(t, gittest.CloneOf(t, bare, "--depth=1"), gitlog.Options{AllowShallow: true})
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, err := repo.History(ctx, single); err == nil {
		t.Error("History with an ended context = nil, want its error")
	}
}

func TestAKeptHistoryInTooManyPiecesIsMadeAnew(t *testing.T) {
	bare, _ := gittest.Bare(t, line(3))
	cache := t.TempDir()
	repo := open(t, gittest.CloneOf(t, bare, "--depth=1", "--no-tags"), gitlog.Options{Cache: cache})
	wantVersion(t, repo, "1.0.1")
	packs := func() []string {
		found, err := filepath.Glob(filepath.Join(cache, "history", "*.git", "objects", "pack", "*.pack"))
		if err != nil || len(found) == 0 {
			t.Fatalf("packs: %v, %v", found, err)
		}
		return found
	}
	for i := range 60 {
		if err := os.WriteFile(strings.Replace(packs()[0], "pack-", "pack-"+string(rune('a'+i%26))+string(rune('a'+i/26)), 1), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wantVersion(t, repo, "1.0.1")
	if got := len(packs()); got > 2 {
		t.Errorf("%d packs are kept, want the history in one piece", got)
	}
}
