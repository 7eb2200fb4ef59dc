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

// sweep calls remove for each owner of a kind that has ended, and forgets it
// if that went well. It says how many those were.
func sweep(ctx context.Context, c *cache, kind string, remove func(name, dir string) error) (int, error) {
	dirs, err := filepath.Glob(c.path(ownersFolder, kind+"-*"))
	if err != nil {
		return 0, err
	}
	swept := 0
	for _, dir := range dirs {
		if ctx.Err() != nil {
			return swept, context.Cause(ctx)
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
			swept++
		}
		free()
		if err != nil {
			return swept, err
		}
	}
	return swept, nil
}
