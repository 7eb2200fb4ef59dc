//go:build linux

// Command lint measures `towline lint`: its own rules over 10 MB of Python
// beside ruff, over a part of it beside pylint, and over 1,000, 10,000 and
// 50,000 files. The Python is that of packages in the test environment.
//
//	go run ./bench/lint bin/towline .cache/venv
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// What is still good.
const (
	mostTime   = time.Second // for 10 MB, the fastest run
	mostMemory = 120_000     // kB
	overRuff   = 4.0
	overPylint = 1.0 / 30
	overLinear = 1.5 // time for one more file: between 10,000 and 50,000 over between 1,000 and 10,000
)

const rounds = 7

func main() {
	flag.Parse()
	if err := run(flag.Arg(0), flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, "lint:", err)
		os.Exit(1)
	}
}

// bench is one run of the measurement.
type bench struct {
	towline, venv, folder string
	missed                []error
}

func run(towline, venv string) error {
	if towline == "" || venv == "" {
		return errors.New("wanted the program and the test environment as arguments, such as bin/towline .cache/venv")
	}
	b := bench{}
	for _, path := range []struct {
		from string
		to   *string
	}{{towline, &b.towline}, {venv, &b.venv}} {
		full, err := filepath.Abs(path.from)
		if err != nil {
			return err
		}
		*path.to = full
	}
	folder, err := os.MkdirTemp("", "bench-lint-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	b.folder = folder
	for _, part := range []func() error{b.beside, b.besidePylint, b.linear} {
		if err := part(); err != nil {
			return err
		}
	}
	return errors.Join(b.missed...)
}

// judge prints a figure and keeps it if it misses what is wanted.
func (b *bench) judge(what string, got, wanted float64, format string) {
	verdict := ""
	if got > wanted {
		verdict = ", missed"
		b.missed = append(b.missed, fmt.Errorf("%s: "+format+", wanted at most "+format, what, got, wanted))
	}
	fmt.Printf("  %-44s "+format+", wanted at most "+format+"%s\n", what+":", got, wanted, verdict)
}

// beside measures 10 MB with ruff in turn.
func (b *bench) beside() error {
	corpus := filepath.Join(b.folder, "corpus")
	files, size, err := b.gather(corpus, 10_000_000, "sklearn", "numpy")
	if err != nil {
		return err
	}
	fmt.Printf("%.1f MB of Python in %d files\n", float64(size)/1e6, files)
	var ours, theirs []cost
	for range rounds {
		ours = append(ours, b.lint(corpus))
		theirs = append(theirs, measure(corpus, b.tool("ruff"), "check", "--no-cache", "--quiet", "--isolated", "--exit-zero", "--output-format", "json", "--select", "E,F,W", "."))
	}
	if err := failed(append(ours, theirs...)); err != nil {
		return err
	}
	fmt.Printf("  towline %s, ruff %s (medians)\n", median(ours), median(theirs))
	b.judge("fastest run, in seconds", fastest(ours).Seconds(), mostTime.Seconds(), "%.2f")
	b.judge("times ruff", ratio(ours, theirs), overRuff, "%.2f")
	b.judge("peak memory, in MB", float64(peak(ours))/1000, mostMemory/1000, "%.0f")
	return nil
}

// besidePylint measures a part with pylint, once: it takes its time.
func (b *bench) besidePylint() error {
	corpus := filepath.Join(b.folder, "part")
	files, size, err := b.gather(corpus, 500_000, "joblib")
	if err != nil {
		return err
	}
	fmt.Printf("%.1f MB of Python in %d files\n", float64(size)/1e6, files)
	var ours []cost
	for range rounds {
		ours = append(ours, b.lint(corpus))
	}
	theirs := []cost{measure(corpus, b.tool("pylint"), "-j2", "--exit-zero", "--rcfile", os.DevNull, "--persistent", "n", "--output-format", "json", "joblib")}
	if err := failed(append(ours, theirs...)); err != nil {
		return err
	}
	fmt.Printf("  towline %s, pylint %s\n", median(ours), median(theirs))
	b.judge("times pylint", ratio(ours, theirs), overPylint, "%.4f")
	return nil
}

// linear measures growing repositories of small files.
func (b *bench) linear() error {
	var took []float64
	counts := []int{1000, 10_000, 50_000}
	for _, count := range counts {
		corpus := filepath.Join(b.folder, strconv.Itoa(count))
		if err := generate(corpus, count); err != nil {
			return err
		}
		var ours []cost
		for range 3 {
			ours = append(ours, b.lint(corpus))
		}
		if err := failed(ours); err != nil {
			return err
		}
		fmt.Printf("%d files: %s, processors %s, peak %.0f MB\n", count, fastest(ours), least(ours), float64(peak(ours))/1000)
		took = append(took, least(ours).Seconds())
		if count == counts[len(counts)-1] {
			b.judge("peak memory, in MB", float64(peak(ours))/1000, mostMemory/1000, "%.0f")
		}
	}
	first := (took[1] - took[0]) / float64(counts[1]-counts[0])
	second := (took[2] - took[1]) / float64(counts[2]-counts[1])
	b.judge("one more file, among many over among few", second/first, overLinear, "%.2f")
	return nil
}

// gather copies Python files of installed packages until they have that size,
// and writes a manifest beside them.
func (b *bench) gather(to string, size int64, packages ...string) (files int, got int64, err error) {
	places, err := filepath.Glob(filepath.Join(b.venv, "lib", "python3*", "site-packages"))
	if err != nil || len(places) != 1 {
		return 0, 0, fmt.Errorf("%s: no site-packages", b.venv)
	}
	for _, name := range packages {
		err := filepath.WalkDir(filepath.Join(places[0], name), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".py" || got >= size {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(places[0], path)
			if err != nil {
				return err
			}
			files, got = files+1, got+int64(len(text))
			return write(filepath.Join(to, rel), text)
		})
		if err != nil {
			return 0, 0, err
		}
	}
	return files, got, manifest(to)
}

// generate makes small Python files that differ.
func generate(to string, count int) error {
	for i := range count {
		text := fmt.Sprintf("import os\n\nimport numpy as np\n\n\ndef part_%d(data, depth=%d):\n    \"\"\"Return a part of the data.\"\"\"\n"+
			"    rng = np.random.default_rng(%d)\n    path = os.path.join(os.environ[\"SM_CHANNEL_TRAIN\"], \"part-%d.csv\")\n    return path, rng.choice(data, depth)\n", i, i%9, i, i)
		if err := write(filepath.Join(to, fmt.Sprintf("p%03d", i/200), fmt.Sprintf("part_%d.py", i)), []byte(text)); err != nil {
			return err
		}
	}
	return manifest(to)
}

func manifest(to string) error {
	return write(filepath.Join(to, "towline.yaml"), []byte("apiVersion: towline/v1\nproject: bench\nlint:\n  tools: {pylint: \"off\", ruff: \"off\"}\nmodels:\n  - name: bench\n    path: .\n"))
}

func write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// cost is what one call took.
type cost struct {
	time.Duration
	work   time.Duration // of the processors, which others on the machine disturb less
	memory int64         // kB
	err    error
}

func (b *bench) tool(name string) string { return filepath.Join(b.venv, "bin", name) }

// lint runs towline's own rules; findings are no failure.
func (b *bench) lint(corpus string) cost {
	c := measure(corpus, b.towline, "lint", "--profile", "team", "--format", "json")
	if exit := (*exec.ExitError)(nil); errors.As(c.err, &exit) && exit.ExitCode() == 3 {
		c.err = nil
	}
	return c
}

func measure(folder, program string, args ...string) cost {
	cmd := exec.Command(program, args...)
	cmd.Dir = folder
	begin := time.Now()
	err := cmd.Run()
	c := cost{Duration: time.Since(begin), err: err}
	if err != nil {
		c.err = fmt.Errorf("%s: %w", filepath.Base(program), err)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.memory = usage.Maxrss
		c.work = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return c
}

func failed(costs []cost) error {
	for _, c := range costs {
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

func sorted(costs []cost) []cost {
	return slices.SortedFunc(slices.Values(costs), func(a, b cost) int { return int(a.Duration - b.Duration) })
}

func median(costs []cost) time.Duration {
	return sorted(costs)[len(costs)/2].Round(time.Millisecond)
}

func fastest(costs []cost) time.Duration { return sorted(costs)[0].Round(time.Millisecond) }

func least(costs []cost) time.Duration {
	return slices.MinFunc(costs, func(a, b cost) int { return int(a.work - b.work) }).work.Round(time.Millisecond)
}

func ratio(ours, theirs []cost) float64 { return median(ours).Seconds() / median(theirs).Seconds() }

func peak(costs []cost) (memory int64) {
	for _, c := range costs {
		memory = max(memory, c.memory)
	}
	return memory
}
