package bundle

import (
	"errors"
	"sync"
)

// chores are done beside the work that the user waits for: what makes the cache
// safe against a power cut, and what is cleared away.
type chores struct {
	work sync.WaitGroup
	mu   sync.Mutex
	err  error
}

func (c *chores) add(do func() error) {
	c.work.Go(func() {
		err := do()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.err = errors.Join(c.err, err)
	})
}

// wait returns when all are done, with what went wrong since it was last called.
func (c *chores) wait() error {
	c.work.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.err
	c.err = nil
	return err
}
