package workspace

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"gitlab.com/towline/towline/pkg/fault"
)

// lockFile holds the number of the process that has the lock.
const lockFile = "lock"

// retryLock is how often a lock that is held is tried again.
const retryLock = 50 * time.Millisecond

// Lock keeps other commands out of the workspace until unlock is called or the
// process ends. It waits for one that is in there; after wait, it gives up
// with a fault.Conflict.
func (w *Workspace) Lock(ctx context.Context, wait time.Duration) (unlock func(), err error) {
	if err := w.Create(); err != nil {
		return nil, err
	}
	path := filepath.Join(w.dir, lockFile)
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fault.Newf(fault.Repository, "lock %s: found a link or a folder, wanted a file", shown(lockFile)).
			Hintf("remove %s", shown(lockFile))
	}
	lock := flock.New(path, flock.SetPermissions(0o644))
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	locked, err := lock.TryLockContext(waiting, retryLock)
	switch {
	case ctx.Err() != nil:
		if locked {
			_ = lock.Unlock()
		}
		return nil, context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fault.Newf(fault.Conflict, "lock %s: another towline is working here%s", Folder, holder(path)).
			Hintf("wait until it has ended, or end it")
	case err != nil:
		return nil, diskFault("lock "+shown(lockFile), err)
	}
	// Whose lock it is, is told to those who wait, and decides nothing.
	_ = os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
	return func() { _ = lock.Unlock() }, nil
}

// holder is " (pid N)" if the lock's file names a process.
func holder(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil && pid > 0 {
		return " (pid " + strconv.Itoa(pid) + ")"
	}
	return ""
}
