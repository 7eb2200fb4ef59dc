//go:build unix && !linux

package proc

import "syscall"

func groupAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func (p *Process) live(started chan<- error) {
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.end(p.cmd.Wait())
}
