package bundle

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
)

// kept is one set of layers in the cache.
type kept struct {
	cached
	file string
	used time.Time
}

// hold keeps other processes from clearing the cache meanwhile. Several may hold it.
func (b *Bundler) hold(ctx context.Context) (release func(), err error) {
	if err := os.MkdirAll(b.o.Cache, 0o755); err != nil {
		return nil, diskFault("make the cache", err)
	}
	lock := flock.New(b.lockFile())
	if _, err := lock.TryRLockContext(ctx, 50*time.Millisecond); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, diskFault("lock the cache", err)
	}
	return func() { _ = lock.Unlock() }, nil
}

func (b *Bundler) lockFile() string { return filepath.Join(b.o.Cache, "layers.lock") }

// use notes that this run has to do with a set of layers, for which it is not
// cleared away. The time of its file says when it was used last.
func (b *Bundler) use(key string) {
	b.mu.Lock()
	b.used[key] = true
	b.mu.Unlock()
	b.chores.add(func() error {
		text, err := os.ReadFile(b.cacheEntry(key))
		if err != nil {
			return nil // it is not there yet
		}
		return diskFault("write the cache", renameio.WriteFile(b.cacheEntry(key), text, 0o644))
	})
}

func (b *Bundler) inUse(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used[key]
}

// trim brings the cached layers below their limit. Those that were not used for
// the longest time go first, those of this run never; while another process
// packages, none.
func (b *Bundler) trim() error {
	if b.o.CacheSize <= 0 {
		return nil
	}
	lock := flock.New(b.lockFile())
	if alone, err := lock.TryLock(); err != nil || !alone {
		return nil
	}
	defer func() { _ = lock.Unlock() }()
	sets := b.keptSets()
	sizes, wanted := b.blobs(sets)
	total := int64(0)
	for _, size := range sizes {
		total += size
	}
	for _, set := range sets {
		if total <= b.o.CacheSize {
			return nil
		}
		if b.inUse(set.Key) || !holdsBlobs(set, sizes) {
			continue
		}
		if err := os.Remove(set.file); err != nil {
			return diskFault("clear the cache", err)
		}
		for _, layer := range set.Layers {
			if wanted[layer.Digest.Hex]--; wanted[layer.Digest.Hex] == 0 {
				_ = os.Remove(filepath.Join(b.blobFolder(), layer.Digest.Hex))
				total -= sizes[layer.Digest.Hex]
			}
		}
	}
	return nil
}

func holdsBlobs(set kept, sizes map[string]int64) bool {
	return slices.ContainsFunc(set.Layers, func(layer blob) bool { return sizes[layer.Digest.Hex] > 0 })
}

// keptSets are the sets of layers, the one that was not used for longest first.
func (b *Bundler) keptSets() []kept {
	var sets []kept
	names, _ := filepath.Glob(b.cacheEntry("*"))
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			continue
		}
		text, err := os.ReadFile(name)
		set := kept{file: name, used: info.ModTime()}
		if err == nil && json.Unmarshal(text, &set.cached) == nil {
			sets = append(sets, set)
		}
	}
	slices.SortFunc(sets, func(a, b kept) int {
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.Key, b.Key))
	})
	return sets
}

// blobs are the layers on disk with their sizes, and how many sets want each.
// One that no set wants, as a run that was killed leaves it, goes after a day.
func (b *Bundler) blobs(sets []kept) (sizes map[string]int64, wanted map[string]int) {
	sizes, wanted = map[string]int64{}, map[string]int{}
	for _, set := range sets {
		for _, layer := range set.Layers {
			wanted[layer.Digest.Hex]++
		}
	}
	list, _ := os.ReadDir(b.blobFolder())
	for _, item := range list {
		if info, err := item.Info(); err == nil && wanted[item.Name()] > 0 {
			sizes[item.Name()] = info.Size()
		} else if err == nil {
			sweep(filepath.Join(b.blobFolder(), item.Name()))
		}
	}
	return sizes, wanted
}
