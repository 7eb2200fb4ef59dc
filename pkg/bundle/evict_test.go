package bundle_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/plan"
)

// several packages with one dependency each, whose layers are cached.
func several(t *testing.T, n int) []plan.Package {
	t.Helper()
	var list []plan.Package
	for i := range n {
		root := repository(t)
		withWheel(t, root)
		wheel(t, filepath.Join(root, "wheels", "towdep-1.0-py3-none-any.whl"), map[string]string{"towdep/__init__.py": fmt.Sprintf("it = %d\n", i)})
		a := action(t, root)
		a.Requirements = "requirements.txt"
		list = append(list, a)
	}
	return list
}

func blobsIn(t *testing.T, cache string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(cache, "blobs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// agedBy makes everything that is known of layers older.
func agedBy(t *testing.T, cache string, by time.Duration) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(cache, "layers", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, info.ModTime().Add(-by), info.ModTime().Add(-by)); err != nil {
			t.Fatal(err)
		}
	}
}

func isCached(t *testing.T, o bundle.Options, a plan.Package) bool {
	t.Helper()
	a.Layout = filepath.Join(t.TempDir(), "image")
	return strings.Contains(pack(t, o, a).Said, "from the cache")
}

func TestTheCacheKeepsWhatWasUsedLast(t *testing.T) {
	o := warm(t)
	o.Cache = t.TempDir()
	list := several(t, 3)
	for _, a := range list[:2] {
		pack(t, o, a)
		agedBy(t, o.Cache, time.Hour)
	}
	if !isCached(t, o, list[0]) { // now the second is the one that was not used for longest
		t.Fatal("the first dependencies were not cached")
	}
	o.CacheSize = layersSize(t, o.Cache) + 1
	pack(t, o, list[2])
	if n := blobsIn(t, o.Cache); n != 2 {
		t.Errorf("%d layers are left, want 2", n)
	}
	o.CacheSize = 0
	if !isCached(t, o, list[0]) || !isCached(t, o, list[2]) || isCached(t, o, list[1]) {
		t.Error("want the first and the third to be left, which were used last")
	}
}

func TestTheCacheKeepsWhatTheRunUses(t *testing.T) {
	o := warm(t)
	o.Cache, o.CacheSize = t.TempDir(), 1
	list := several(t, 2)
	pack(t, o, list[0])
	if n := blobsIn(t, o.Cache); n != 1 {
		t.Errorf("%d layers are left of a run with a limit of 1 byte, want its own", n)
	}
	pack(t, o, list[1])
	if n := blobsIn(t, o.Cache); n != 1 {
		t.Errorf("%d layers are left after the next run, want its own alone", n)
	}
}

func TestTheCacheIsLeftAloneWhileAnotherRunPackages(t *testing.T) {
	o := warm(t)
	o.Cache = t.TempDir()
	list := several(t, 2)
	pack(t, o, list[0])
	other := flock.New(filepath.Join(o.Cache, "layers.lock"))
	if held, err := other.TryRLock(); err != nil || !held {
		t.Fatal(held, err)
	}
	defer func() { _ = other.Unlock() }()
	o.CacheSize = 1
	pack(t, o, list[1])
	if n := blobsIn(t, o.Cache); n != 2 {
		t.Errorf("%d layers are left while another run packages, want 2", n)
	}
}

func layersSize(t *testing.T, cache string) (sum int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(cache, "blobs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}
