package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"gitlab.com/towline/towline/pkg/plan"
)

// teller tells how a command goes, on stderr: plain lines, and on a terminal
// a bar for bytes on their way.
type teller struct {
	mu       sync.Mutex
	w        io.Writer
	verbose  bool
	terminal bool
	now      func() time.Time
	started  time.Time
	bar      *progressbar.ProgressBar
}

func (a *app) teller() *teller {
	return &teller{w: a.stderr, verbose: a.verbose, terminal: a.terminal(), now: a.now}
}

// head is the line that opens a release.
func (t *teller) head(format string, args ...any) { t.print(format, args...) }

// step is a stage that is over, and what came of it.
func (t *teller) step(name, format string, args ...any) {
	t.print("%-15s + %s", name, fmt.Sprintf(format, args...))
}

// line is something a job said, or a state it reached.
func (t *teller) line(text string) { t.print("                | %s", text) }

// detail is told only when asked for.
func (t *teller) detail(format string, args ...any) {
	if t.verbose {
		t.print("                . "+format, args...)
	}
}

// detailLine is detail for rooms that have a finished line.
func (t *teller) detailLine(text string) { t.detail("%s", text) }

func (t *teller) print(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clearBar()
	fmt.Fprintf(t.w, format+"\n", args...)
}

// Started begins an action.
func (t *teller) Started(action plan.Action) {
	t.started = t.now()
	if _, kept := action.(plan.Keep); !kept {
		t.detail("%s …", action.ID())
	}
}

// Done tells what an action brought about.
func (t *teller) Done(action plan.Action, receipt plan.Receipt, err error) {
	if err != nil && receipt.Said == "" {
		return
	}
	said := receipt.Said
	if keep, ok := action.(plan.Keep); ok {
		t.print("%-15s = %s", action.ID(), keep.Why)
		return
	}
	if took := t.now().Sub(t.started); took >= time.Second {
		said += fmt.Sprintf(" (%s)", took.Round(100*time.Millisecond))
	}
	mark := "+"
	if err != nil {
		mark = "!"
	}
	t.print("%-15s %s %s", action.ID(), mark, said)
}

// progress shows bytes on their way, on a terminal.
func (t *teller) progress(done, total int64) {
	if !t.terminal || total <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bar == nil {
		t.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(t.w), progressbar.OptionShowBytes(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetWidth(30))
	}
	t.bar.ChangeMax64(total)
	_ = t.bar.Set64(done)
	if done >= total {
		t.clearBar()
	}
}

// clearBar takes the bar off the screen before anything else is printed.
func (t *teller) clearBar() {
	if t.bar == nil {
		return
	}
	_ = t.bar.Clear()
	t.bar = nil
}
