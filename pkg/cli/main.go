// Package cli is the hall: the commands, and all talk with the user.
//
// In come a command line, streams and an environment; out go text, files
// below .towline/ and an exit code. Every command has four beats: read,
// decide, act, tell. The hall wires the rooms together and holds no knowledge
// that belongs in one of them.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/fault"
)

// Process is what the operating system gives a program.
type Process struct {
	Args    []string // without the program's name
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Environ []string
	Version string
}

// Short commands end before they need to collect garbage: what the libraries
// allocate while the program starts would else cost them a collection of its
// own. Commands that connect to a target go on with Go's usual percentage.
const (
	gcAtStart = 400
	gcAtWork  = 100
)

// Main runs one command line and returns its exit code.
func Main(p Process) int {
	debug.SetGCPercent(gcAtStart)
	ctx, listen, stop := untilSignal(context.Background())
	defer stop()
	a := newApp(p)
	a.listen = listen
	root := newRoot(a)
	root.SetArgs(p.Args)
	err := a.out.judge(root.ExecuteContext(ctx))
	if err == nil {
		return 0
	}
	var sig interrupted
	if errors.As(context.Cause(ctx), &sig) {
		fmt.Fprintf(p.Stderr, "towline: error: interrupted by %s\n", sig.String())
		return 128 + int(sig)
	}
	tellError(p.Stderr, err)
	return int(fault.KindOf(err))
}

// Root is the command tree by itself, for the generator of its reference.
func Root() *cobra.Command {
	return newRoot(newApp(Process{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard}))
}

// tellError prints an error, its details and its hint, each line with its name.
func tellError(w io.Writer, err error) {
	fmt.Fprintf(w, "towline: error: %v\n", err)
	for _, detail := range fault.DetailsOf(err) {
		fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(strings.TrimRight(detail, "\n"), "\n", "\n  "))
	}
	if hint := fault.HintOf(err); hint != "" {
		fmt.Fprintf(w, "towline: hint: %s\n", hint)
	}
}

// interrupted is the signal that ended a command.
type interrupted syscall.Signal

func (i interrupted) Error() string { return "interrupted by " + i.String() }

func (i interrupted) String() string {
	switch syscall.Signal(i) {
	case syscall.SIGINT:
		return "Ctrl-C"
	case syscall.SIGTERM:
		return "SIGTERM"
	}
	return syscall.Signal(i).String()
}

// untilSignal gives a context that ends with the first SIGINT or SIGTERM after
// listen was called. The second one ends the process at once, as if nobody
// listened. Help is told without listening: that alone would cost it a thread.
func untilSignal(parent context.Context) (ctx context.Context, listen, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	listen = func() {
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
		go func() {
			select {
			case s := <-signals:
				signal.Stop(signals)
				number, _ := s.(syscall.Signal)
				cancel(interrupted(number))
			case <-ctx.Done():
			}
		}()
	}
	return ctx, listen, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}
