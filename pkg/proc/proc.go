// Package proc runs other programs.
//
// In come a command line, an explicit environment and a context; out come the
// program's output and a classified end. Every program gets a process group
// of its own, which is stopped as a whole; what a program leaves behind in its
// group does not outlive it. It never reads the environment, never prints, and
// keeps only the last lines of what a program complains.
package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Command is a program to be run. Env is the whole environment, as NAME=value:
// nothing is inherited.
type Command struct {
	Name   string
	Args   []string
	Dir    string
	Env    []string
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer     // besides what ExitError keeps of it
	Files  []*os.File    // inherited as file descriptors 3, 4, …; still the caller's to close
	Grace  time.Duration // between SIGTERM and SIGKILL on cancel; 10 s if zero
}

const defaultGrace = 10 * time.Second

// tailSize is how much of a program's stderr an ExitError keeps, in bytes.
const tailSize = 8 << 10

// ExitError is a program that ran and did not end with 0.
type ExitError struct {
	Name   string
	Code   int    // exit code; 128 plus the signal's number if a signal ended it
	Stderr string // its end, at most 8 KiB
}

func (e *ExitError) Error() string {
	if last := lastLine(e.Stderr); last != "" {
		return fmt.Sprintf("%s: exit code %d: %s", e.Name, e.Code, last)
	}
	return fmt.Sprintf("%s: exit code %d", e.Name, e.Code)
}

// Run runs the program to its end. A program that could not be started gives
// the error of os/exec; one that failed gives an *ExitError. When ctx ends the
// group is stopped and the error is that of ctx.
func (c Command) Run(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p, err := c.Start()
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Stop(c.Grace)
		return context.Cause(ctx)
	}
	return p.Err()
}

// Output runs the program and returns what it wrote to stdout.
func (c Command) Output(ctx context.Context) ([]byte, error) {
	var out bytes.Buffer
	c.Stdout = &out
	err := c.Run(ctx)
	return out.Bytes(), err
}

// Process is a program that was started.
type Process struct {
	name string
	cmd  *exec.Cmd
	tail *tail
	done chan struct{}
	err  error

	mu    sync.Mutex
	ended bool // from here on the process id may be somebody else's
}

// Start starts the program and returns at once. Whoever starts it must wait
// for Done or call Stop. On Linux the program dies with this process.
func (c Command) Start() (*Process, error) {
	cmd := exec.Command(c.Name, c.Args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout = c.Dir, c.Stdin, c.Stdout
	cmd.Env, cmd.ExtraFiles = c.Env, c.Files
	if cmd.Env == nil {
		cmd.Env = []string{}
	}
	cmd.SysProcAttr = groupAttr()
	cmd.WaitDelay = defaultGrace
	p := &Process{name: c.Name, cmd: cmd, tail: &tail{}, done: make(chan struct{})}
	cmd.Stderr = io.Writer(p.tail)
	if c.Stderr != nil {
		cmd.Stderr = io.MultiWriter(p.tail, c.Stderr)
	}
	started := make(chan error)
	go p.live(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Pid is the process id, which is also that of its group.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err waits for the end and tells how it was.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Tail is the end of what the program has written to stderr so far.
func (p *Process) Tail() string { return p.tail.String() }

// Stop asks the group to end, waits for at most grace (10 s if zero), and then kills it.
func (p *Process) Stop(grace time.Duration) {
	if grace == 0 {
		grace = defaultGrace
	}
	p.signal(-p.Pid(), syscall.SIGTERM)
	p.KillAfter(grace)
}

// Signal sends a signal to the program alone, not to its group, as a container
// runtime does: the program hands it on as it sees fit.
func (p *Process) Signal(sig syscall.Signal) { p.signal(p.Pid(), sig) }

// KillAfter waits for the end for at most grace and then kills the group.
func (p *Process) KillAfter(grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return
	case <-timer.C:
	}
	p.signal(-p.Pid(), syscall.SIGKILL)
	<-p.done
}

// signal reaches a process, or a group if the number is negative, as long as
// the number is sure to be ours.
func (p *Process) signal(pid int, sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		_ = syscall.Kill(pid, sig)
	}
}

func (p *Process) end(err error) {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		p.err = &ExitError{Name: p.name, Code: exitCode(exit.ProcessState), Stderr: p.tail.String()}
	case errors.Is(err, exec.ErrWaitDelay):
		p.err = nil // it ended well; something it started kept its output open
	default:
		p.err = err
	}
	close(p.done)
}
