package runtime

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// cache is a folder of things that take long to make and never change:
//
//	layers/<diff id>   the files of one layer, whiteouts as they came
//	roots/<image id>   the files of one image, hard links to those of its layers
//	pythons/<hash>     a Python of this host without its site-packages
//	locks/…            who uses what, also among processes
//	tmp/…              what is being made; becomes one of the above by a rename
type cache struct {
	dir string

	mu      sync.Mutex
	flights map[string]chan struct{}
}

func newCache(dir string) (*cache, error) {
	for _, sub := range []string{"layers", "roots", "pythons", "locks", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	return &cache{dir: dir, flights: map[string]chan struct{}{}}, nil
}

func (c *cache) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}

// folder makes the folder once, from a temporary one that fill has filled.
// Concurrent callers wait for the one that makes it; if that one gives up the
// next one tries. It says whether it was this call that made the folder.
func (c *cache) folder(ctx context.Context, final string, fill func(tmp string) error) (bool, error) {
	for {
		if isDir(final) {
			return false, nil
		}
		flight, mine := c.flight(final)
		if mine {
			defer c.land(final, flight)
			return c.build(final, fill)
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

func (c *cache) flight(key string) (flight chan struct{}, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if flight, busy := c.flights[key]; busy {
		return flight, false
	}
	flight = make(chan struct{})
	c.flights[key] = flight
	return flight, true
}

func (c *cache) land(key string, flight chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flights, key)
	close(flight)
}

func (c *cache) build(final string, fill func(tmp string) error) (bool, error) {
	if isDir(final) {
		return false, nil
	}
	tmp, err := os.MkdirTemp(c.path("tmp"), filepath.Base(final)[:8]+"-")
	if err != nil {
		return false, err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return false, err
	}
	err = fill(tmp)
	if err == nil {
		err = os.Rename(tmp, final)
	}
	if err == nil {
		return true, nil
	}
	_ = os.RemoveAll(tmp) // else the next pruning does
	if isDir(final) {     // another process was faster
		return false, nil
	}
	return false, err
}

// share takes a lock that others may share, and waits while somebody has it alone.
func (c *cache) share(ctx context.Context, name string) (release func(), err error) {
	lock := flock.New(c.path("locks", name))
	if _, err := lock.TryRLockContext(ctx, 20*time.Millisecond); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return func() { _ = lock.Close() }, nil
}

// claim takes a lock for itself alone if nobody else has it.
func (c *cache) claim(name string) (release func(), ok bool, err error) {
	lock := flock.New(c.path("locks", name))
	ok, err = lock.TryLock()
	if err != nil || !ok {
		_ = lock.Close()
		return nil, false, err
	}
	return func() { _ = lock.Close() }, true, nil
}
