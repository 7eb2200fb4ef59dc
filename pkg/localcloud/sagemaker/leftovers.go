package sagemaker

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"gitlab.com/towline/towline/pkg/localcloud/store"
)

// leftovers remembers the process groups that run, so that a cloud that was
// killed leaves none behind: the next one ends them.
type leftovers struct {
	path string

	mu     sync.Mutex
	groups []group
}

// group is a process group, with what tells it from a later one of the same number.
type group struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // of its first process, in the kernel's ticks
	Boot  string `json:"boot"`  // of the machine
}

func openLeftovers(path string) (*leftovers, error) {
	l := &leftovers{path: path}
	err := store.Read(path, &l.groups)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return l, err
}

// kill ends what an earlier process left, and says how many groups that were.
func (l *leftovers) kill() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	killed := 0
	for _, g := range l.groups {
		if g.kill() {
			killed++
		}
	}
	killed += killSandboxes(filepath.Join(filepath.Dir(l.path), "work"))
	l.groups = nil
	_ = store.Write(l.path, l.groups) // a group that is gone is not killed twice
	return killed
}

// track remembers a group until the function it gives is called.
func (l *leftovers) track(pid int) (forget func()) {
	if pid <= 0 {
		return func() {}
	}
	g := groupOf(pid)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.groups = append(l.groups, g)
	_ = store.Write(l.path, l.groups) // without it a kill -9 leaves a process: no reason to fail
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.groups = slices.DeleteFunc(l.groups, func(other group) bool { return other == g })
		_ = store.Write(l.path, l.groups)
	}
}
