package cli

import (
	"errors"
	"io"
	"sync"

	"gitlab.com/towline/towline/pkg/fault"
)

// outlet is stdout, which remembers that something did not get out: a command
// whose output is lost has failed, however few of its writes are looked at.
type outlet struct {
	to io.Writer

	mu   sync.Mutex
	lost error
}

// Write gives the first error again: after it nothing more gets out.
func (o *outlet) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost != nil {
		return 0, o.lost
	}
	var n int
	n, o.lost = o.to.Write(text)
	return n, o.lost
}

// judge gives the error of a command: its own, unless that is only about lost output.
func (o *outlet) judge(failed error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost == nil || failed != nil && !errors.Is(failed, o.lost) {
		return failed
	}
	return fault.Newf(fault.Remote, "write the output: %w", o.lost).
		Hintf("what was printed is not whole: make room for it, and run the command again")
}
