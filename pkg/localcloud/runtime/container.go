package runtime

import (
	"syscall"
	"time"

	"gitlab.com/towline/towline/pkg/proc"
)

// container is a program in a container: a client in the foreground, which
// hands on signals and the exit code, and ways to reach the container itself.
type container struct {
	client *proc.Process
	kill   func()               // kills the container's program
	clean  func()               // removes the container and what it needed
	judge  func(code int) error // tells the client's own failure from the program's
	done   chan struct{}
	code   int
	err    error
}

// lastWait is how long a client may take to notice that its container was killed.
const lastWait = 5 * time.Second

func (c *container) PID() int { return c.client.Pid() }

func (c *container) Done() <-chan struct{} { return c.done }

func (c *container) Wait() (int, error) {
	<-c.done
	return c.code, c.err
}

// Stop stops as container runtimes do: SIGTERM to the container's first
// process, which must heed it to end by it, then SIGKILL to all in it.
func (c *container) Stop(grace time.Duration) {
	c.client.Signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.client.Done():
	case <-timer.C:
		c.kill()
		c.client.KillAfter(lastWait)
	}
	<-c.done
}

// watch waits for the end, and lets go of what the container needed.
func (c *container) watch(release func()) {
	c.code, c.err = exitCode(c.client.Err())
	if c.err == nil && c.code != 0 {
		c.err = c.judge(c.code)
	}
	c.clean()
	release()
	close(c.done)
}
