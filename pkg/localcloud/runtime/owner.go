package runtime

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// owner is this process as the owner of containers: a folder for what they
// need, and a lock that the kernel lets go of when the process ends, however
// it ends. Containers whose owner's lock is free were left behind.
type owner struct {
	name    string
	dir     string
	release func() // of the lock; kept, since a lock that nobody refers to is given back by itself
}

const ownersFolder = "containers"

func newOwner(c *cache, kind string) (*owner, error) {
	name := fmt.Sprintf("%s-%d-%d", kind, os.Getpid(), time.Now().UnixNano())
	release, alone, err := c.claim(ownerLock(name))
	if err != nil || !alone {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	o := &owner{name: name, dir: c.path(ownersFolder, name), release: release}
	return o, os.MkdirAll(o.dir, 0o700)
}

func ownerLock(name string) string { return "owner-" + name }

// left are the folders of a kind's owners, living and dead.
func left(c *cache, kind string) []string {
	dirs, err := filepath.Glob(c.path(ownersFolder, kind+"-*"))
	if err != nil {
		return nil // of a bad pattern only
	}
	return dirs
}

// sweep calls remove for each owner of a kind that has ended, and forgets it
// if that went well.
func sweep(ctx context.Context, c *cache, kind string, remove func(name, dir string) error) error {
	for _, dir := range left(c, kind) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name := filepath.Base(dir)
		free, dead, err := c.claim(ownerLock(name))
		if err != nil || !dead {
			continue // it lives, or somebody else sweeps
		}
		err = remove(name, dir)
		if err == nil {
			err = os.RemoveAll(dir)
		}
		if err == nil {
			err = os.Remove(c.path("locks", ownerLock(name)))
		}
		free()
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepOthers removes what runtimes of other kinds left, as far as their
// programs are there: a container may hold a port that is needed now.
func (m machine) sweepOthers(ctx context.Context, kind string) {
	for _, other := range containers {
		path := m.host.lookPath(other)
		if other == kind || path == "" || len(left(m.cache, other)) == 0 {
			continue
		}
		sweeper := interface{ sweep(context.Context) error }(&Engine{machine: m, kind: other, path: path})
		if other == KindRunc {
			sweeper = &Runc{machine: m, path: path}
		}
		if err := sweeper.sweep(ctx); err != nil {
			m.log.Warn("containers of an earlier process could not be removed", "runtime", other, "error", err)
		}
	}
}
