package proc

import (
	"errors"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// groupAttr gives the program a group of its own, and has the kernel kill it
// when the thread that started it ends.
func groupAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// live starts the program and waits for it on one locked thread, since the
// kernel ties the program's life to the thread that started it.
func (p *Process) live(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	if p.linger() {
		p.forget()
	}
	p.end(p.cmd.Wait())
}

// linger waits for the program's end and leaves it a zombie, so that its
// number stays taken until its group is dealt with. It says whether it could.
func (p *Process) linger() bool {
	for {
		err := unix.Waitid(unix.P_PID, p.Pid(), nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// forget kills what the program left behind in its group. It is called when
// the program has ended and its number is about to be given back.
func (p *Process) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
	p.ended = true
}
