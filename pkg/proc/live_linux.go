package proc

import (
	"runtime"
	"syscall"
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
	if err == nil {
		p.end(p.cmd.Wait())
	}
}
