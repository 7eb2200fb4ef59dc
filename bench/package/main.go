//go:build linux

// Command package measures how long it takes to package a model repository
// and publish it, against crane, umoci with skopeo, and buildah, all in one
// run and in turn, over one base image and to one registry behind a proxy that
// counts bytes. Only ratios are judged. It needs Debian's docker-registry,
// umoci, skopeo, buildah and debootstrap, and root for the last two.
//
//	go run ./bench/package [-rounds 3] [-only random,real,weights] [-dir /dev/shm]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := start(); err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

func start() error {
	rounds := flag.Int("rounds", 3, "how often each tool does each thing")
	only := flag.String("only", "random,real,weights", "the cases to be measured")
	dir := flag.String("dir", os.TempDir(), "where everything lies; a file system in memory keeps the disk out of the figures")
	job := flag.String("job", "", "package and push as this document says, and nothing else: what the measurement starts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *job != "" {
		return ourJob(ctx, *job)
	}
	return run(ctx, *rounds, strings.Split(*only, ","), *dir)
}

func run(ctx context.Context, rounds int, only []string, in string) error {
	dir, err := os.MkdirTemp(in, "bench-package-")
	if err != nil {
		return err
	}
	defer func() { _ = exec.Command("rm", "-rf", dir).Run() }()
	b := &bench{ctx: ctx, dir: dir, rounds: rounds, memory: warmBytes}
	if err := errors.Join(b.find(), b.alone()); err != nil {
		return err
	}
	stop, err := b.registry()
	if err != nil {
		return err
	}
	defer stop()
	if err := b.base(); err != nil {
		return err
	}
	var failed []error
	for _, one := range []struct {
		name string
		run  func() error
	}{{"random", b.random}, {"real", b.real}, {"weights", b.weights}} {
		if slices.Contains(only, one.name) {
			failed = append(failed, one.run())
		}
	}
	return errors.Join(failed...)
}

// bench is one run of the measurement.
type bench struct {
	ctx    context.Context //nolint:containedctx // one run, and it ends with it
	dir    string
	rounds int

	baseSize int64 // of the base image in the registry, in bytes
	memory   int   // warmed before each measurement, in bytes

	self, crane, uv string
	tools           string // folder of programs for packing alone
	direct, proxied string // addresses of the registry
	line            *line
}

// find finds the peers and builds the one that comes from Go's module proxy.
func (b *bench) find() error {
	for _, name := range []string{"docker-registry", "umoci", "skopeo", "buildah", "debootstrap", "tar"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w: install Debian's package of that name", err)
		}
	}
	if os.Geteuid() != 0 {
		return errors.New("buildah needs root: run it as root")
	}
	var err error
	if b.uv, err = exec.LookPath(orElse(os.Getenv("TOWLINE_UV"), "uv")); err != nil {
		return fmt.Errorf("%w: set TOWLINE_UV, as make bench does", err)
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	b.crane = filepath.Join(b.dir, "crane")
	build := exec.CommandContext(b.ctx, "go", "install", "github.com/google/go-containerregistry/cmd/crane@v0.22.1")
	build.Env = append(os.Environ(), "GOBIN="+b.dir, "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build crane: %w\n%s", err, out)
	}
	return nil
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// figure is what one thing took.
type figure struct {
	took     time.Duration
	up, down int64 // bytes
	peak     int   // of memory above an idle start, in kB; 0 where it was not measured
}

// measure runs something and counts what goes over the line meanwhile. Before
// it, memory is warmed, for every tool alike.
func (b *bench) measure(do func() error) (figure, error) {
	if err := warm(b.memory); err != nil {
		return figure{}, err
	}
	b.line.reset()
	begun := time.Now()
	err := do()
	took := time.Since(begun)
	err = errors.Join(err, b.line.quiet())
	return figure{took: took, up: b.line.up.Load(), down: b.line.down.Load()}, err
}

// median is the middle of several figures, by time; bytes are the greatest.
func median(all []figure) figure {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b figure) int { return int(a.took - b.took) })
	middle := sorted[len(sorted)/2]
	for _, f := range all {
		middle.up, middle.down, middle.peak = max(middle.up, f.up), max(middle.down, f.down), max(middle.peak, f.peak)
	}
	return middle
}

// want prints a figure with its target and remembers one that was missed.
func (b *bench) want(what string, found, limit float64, unit string) error {
	fmt.Printf("  %-58s %8.2f%s, wanted at most %g%s\n", what, found, unit, limit, unit)
	if found > limit {
		return fmt.Errorf("%s: %.2f%s, wanted at most %g%s", what, found, unit, limit, unit)
	}
	return nil
}

func ratio(ours, theirs figure) float64 { return ours.took.Seconds() / theirs.took.Seconds() }
