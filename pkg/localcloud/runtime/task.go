package runtime

import (
	"strings"
	"syscall"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/proc"
)

// task is a program that runs as a process group of this host.
type task struct {
	proc      *proc.Process
	terminate func(syscall.Signal)
	status    *status // of the sandbox, nil without one
	done      chan struct{}
	code      int
	err       error
}

func (t *task) PID() int { return t.proc.Pid() }

func (t *task) Done() <-chan struct{} { return t.done }

func (t *task) Wait() (int, error) {
	<-t.done
	return t.code, t.err
}

// Stop signals as a container runtime does: SIGTERM to the program itself,
// which hands it on as it sees fit (the whole group would tell a model's
// program twice, since the entries of an image hand it on), then SIGKILL to all.
func (t *task) Stop(grace time.Duration) {
	t.terminate(syscall.SIGTERM)
	t.proc.KillAfter(grace)
	<-t.done
}

// watch waits for the end, and lets go of the image's files.
func (t *task) watch(release func()) {
	t.code, t.err = exitCode(t.proc.Err())
	if t.status != nil {
		t.judge()
	}
	release()
	close(t.done)
}

// judge tells the sandbox's own failure from that of the program in it: only
// the program's end is in the sandbox's report.
func (t *task) judge() {
	code, reported := t.status.exit()
	switch {
	case reported:
		t.code = code
	case t.code > 128: // it was killed
	case t.err == nil:
		t.err = fault.Newf(fault.Remote, "the sandbox ended with exit code %d before the program ran: %s", t.code, strings.TrimSpace(t.proc.Tail())).
			Hintf("set TOWLINE_SANDBOX=none to run without bubblewrap")
	}
}
