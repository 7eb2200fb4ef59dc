package gitlog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlog"
	"gitlab.com/towline/towline/pkg/internal/gittest"
	"gitlab.com/towline/towline/pkg/release"
)

// allocation takes the ordinary next version of the components.
func allocation(components ...release.Component) gitlog.Allocation {
	return allocationWith(release.Options{}, components...)
}

func allocationWith(o release.Options, components ...release.Component) gitlog.Allocation {
	return gitlog.Allocation{
		Components: components,
		Compute: func(hs []release.History) ([]release.Result, error) {
			return release.ComputeLinked(components, hs, o)
		},
		Message: func(r release.Result, claim string) string {
			return release.TagMessage(r.Component+" "+r.Version, release.Changelog(r),
				release.Trailer{Identity: strings.Repeat("1", 64), Pipeline: "https://gitlab.example/p/1", Claim: claim})
		},
		Name: "Release <Job>", Email: "job@towline.invalid",
		Now: func() time.Time { return time.Unix(1_800_000_000, 0) },
	}
}

func TestAllocateTagsTheRemoteAndTheClone(t *testing.T) {
	bare, ids := gittest.Bare(t, line(3))
	clone := gittest.CloneOf(t, bare)
	results, err := open(t, clone, gitlog.Options{}).Allocate(t.Context(), allocation(single))
	if err != nil || results[0].Version != "1.0.1" {
		t.Fatalf("Allocate = %+v, %v, want 1.0.1", results, err)
	}
	for _, dir := range []string{bare, clone} {
		if got := gittest.Git(t, dir, "for-each-ref", "--format=%(objecttype) %(*objectname) %(taggername)", "refs/tags/v1.0.1"); got != "tag "+ids["c2"]+" Release Job" {
			t.Errorf("tag in %s = %q, want an annotated one on %s", filepath.Base(dir), got, ids["c2"])
		}
	}
	message := gittest.Git(t, bare, "tag", "--list", "--format=%(contents)", "v1.0.1")
	trailer, ok := release.ParseTrailer(message)
	if !ok || trailer.Pipeline != "https://gitlab.example/p/1" || !strings.Contains(message, "### Fixes") {
		t.Errorf("message = %q, want notes and a trailer", message)
	}
	again, err := open(t, clone, gitlog.Options{}).Allocate(t.Context(), allocation(single))
	if err != nil || !again[0].Reused || again[0].Version != "1.0.1" {
		t.Errorf("Allocate again = %+v, %v, want 1.0.1 reused", again, err)
	}
}

func TestAllocateLinkedComponentsAllOrNone(t *testing.T) {
	r := line(3)
	r.Tags = []gittest.Tag{{Name: "a/v1.0.0", Commit: "c0"}, {Name: "b/v1.0.0", Commit: "c0"}}
	bare, _ := gittest.Bare(t, r)
	repo := open(t, gittest.CloneOf(t, bare, "--depth=1"), gitlog.Options{})
	a, b := release.Component{Name: "a", Prefix: "a/v"}, release.Component{Name: "b", Prefix: "b/v", Paths: []string{"other"}}
	results, err := repo.Allocate(t.Context(), allocation(a, b))
	if err != nil || results[0].Tag != "a/v1.0.1" || results[1].Tag != "b/v1.0.1" {
		t.Fatalf("Allocate = %+v, %v, want 1.0.1 of both", results, err)
	}
	if got := gittest.Git(t, bare, "tag", "--list", "*/v1.0.1"); got != "a/v1.0.1\nb/v1.0.1" {
		t.Errorf("tags = %q, want both", got)
	}
}

func TestAllocateWhereTheBranchHasMovedOn(t *testing.T) {
	bare, ids := gittest.Bare(t, line(9))
	repo := open(t, gittest.CloneOf(t, bare, "--depth=1"), gitlog.Options{})
	a := allocation(single)
	a.Commit = ids["c4"]
	results, err := repo.Allocate(t.Context(), a)
	if err != nil || results[0].Version != "1.0.1" {
		t.Fatalf("Allocate = %+v, %v, want 1.0.1", results, err)
	}
}

func TestAllocateThatMayNotPush(t *testing.T) {
	bare, _ := gittest.Bare(t, line(3))
	writeHook(t, bare, "echo 'GitLab: You are not allowed to create this tag as it is protected.' >&2; exit 1")
	_, err := open(t, gittest.CloneOf(t, bare), gitlog.Options{}).Allocate(t.Context(), allocation(single))
	if fault.KindOf(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "Allow Git push") {
		t.Errorf("Allocate = %v (exit %d, hint %q), want exit 4 and the setting", err, fault.KindOf(err), fault.HintOf(err))
	}
}

func TestAllocateThatComputesNothing(t *testing.T) {
	r := line(1)
	bare, _ := gittest.Bare(t, r)
	results, err := open(t, gittest.CloneOf(t, bare), gitlog.Options{}).Allocate(t.Context(), allocation(single))
	if err != nil || results[0].Released || results[0].Version != "1.0.0" {
		t.Errorf("Allocate = %+v, %v, want nothing released", results, err)
	}
}

// Thirty-two jobs on machines of their own release one after the other, while
// somebody else pushes lightweight tags of the next versions.
func TestConcurrentAllocations(t *testing.T) {
	t.Parallel()
	const jobs, strangers = 32, 4
	bare, ids := gittest.Bare(t, line(3))
	clone := gittest.CloneOf(t, bare)
	var mu sync.Mutex
	var taken []string
	var wait sync.WaitGroup
	for range jobs {
		wait.Go(func() {
			repo := open(t, clone, gitlog.Options{Cache: t.TempDir()})
			results, err := repo.Allocate(t.Context(), allocationWith(release.Options{Retrain: true}, single))
			if err != nil {
				t.Errorf("Allocate: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			taken = append(taken, results[0].Version)
		})
	}
	for i := range strangers {
		wait.Go(func() { stranger(t, bare, ids["c2"], fmt.Sprintf("v1.0.%d", 5+7*i)) })
	}
	wait.Wait()
	var want []string
	for line := range strings.Lines(gittest.Git(t, bare, "tag", "--list", "--format=%(objecttype) %(refname:short)", "v1.*")) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "tag v"); ok {
			want = append(want, name)
		}
	}
	slices.SortFunc(taken, release.Compare)
	slices.SortFunc(want, release.Compare)
	if len(taken) != jobs || !slices.Equal(taken, want) {
		t.Errorf("%d versions were allocated, %d tags are there:\n%v\n%v", len(taken), len(want), taken, want)
	}
	all := strings.Fields(gittest.Git(t, bare, "tag", "--list", "v1.*"))
	for i := range jobs + 1 {
		if !slices.Contains(all, fmt.Sprintf("v1.0.%d", i)) {
			t.Errorf("no tag v1.0.%d: the versions are not consecutive", i)
		}
	}
}

// stranger pushes a lightweight tag without looking, as other tools do.
func stranger(t *testing.T, bare, commit, tag string) {
	t.Helper()
	for range 200 {
		if out := gittest.Git(t, bare, "tag", "--list", tag); out != "" {
			return // somebody else was first
		}
		previous := tag[:strings.LastIndex(tag, ".")]
		var n int
		if _, err := fmt.Sscanf(tag, previous+".%d", &n); err != nil {
			t.Error(err)
			return
		}
		if gittest.Git(t, bare, "tag", "--list", fmt.Sprintf("%s.%d", previous, n-1)) != "" {
			_ = gittest.Try(bare, "update-ref", "refs/tags/"+tag, commit, "")
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// writeHook has the repository refuse pushes by a hook.
func writeHook(t *testing.T, bare, script string) {
	t.Helper()
	hook := filepath.Join(bare, "hooks", "pre-receive")
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hook, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}
