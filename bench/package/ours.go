//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/plan"
)

// job is what a process of its own packages and pushes: the actions that
// `towline package` and `towline push` carry out.
type job struct {
	Cache   string
	Package plan.Package
	Push    plan.Push
	Report  string // file for what it took
}

// report is what a job says of itself.
type report struct {
	Idle, Peak int           // resident memory when it began, and its high-water mark, in kB
	Read       time.Duration // of the files, for the identity: before the actions, and not part of them
	Packed     time.Duration
	Said       []string
}

func ourJob(ctx context.Context, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var j job
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	r := report{Idle: highWater()}
	b := bundle.New(bundle.Options{Cache: j.Cache, Environ: os.Environ()})
	begun := time.Now()
	if err := readAll(j); err != nil {
		return err
	}
	r.Read = time.Since(begun)
	begun = time.Now()
	packed, err := b.Package(ctx, j.Package)
	if err != nil {
		return err
	}
	r.Packed = time.Since(begun)
	j.Push.Digest = plan.Text(packed.Yields["digest"])
	pushed, err := b.Push(ctx, j.Push)
	if err != nil {
		return err
	}
	r.Peak, r.Said = highWater(), []string{packed.Said, pushed.Said}
	if text, err = json.Marshal(r); err != nil {
		return err
	}
	return os.WriteFile(j.Report, text, 0o644)
}

// readAll reads the model's files as every command does before it plans.
func readAll(j job) error {
	files, err := bundle.Files(bundle.Tree{Root: j.Package.Root, Path: j.Package.Path, Cache: j.Cache})
	for _, file := range files {
		if _, err := file.Digest(); err != nil {
			return err
		}
	}
	return err
}

// highWater is this process's peak resident memory in kB.
func highWater() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kB int
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		return 0
	}
	return kB
}

// ours packages and pushes on a fresh machine, or with the cache of another run.
func (b *bench) ours(s source, repository, cache string) (figure, report, error) {
	return b.oursIn(s, repository, cache, []string{"TOWLINE_UV=" + b.uv})
}

// oursAlone is what packing and publishing take by themselves: there is no
// Python that compiles, and the time of the installer is taken off.
func (b *bench) oursAlone(s source, repository string) (figure, error) {
	times := filepath.Join(b.dir, "installer-times")
	if err := os.WriteFile(times, nil, 0o644); err != nil {
		return figure{}, err
	}
	f, _, err := b.oursIn(s, repository, "", []string{"PATH=" + b.tools, "TOWLINE_UV=" + filepath.Join(b.tools, "uv"), "TIMES=" + times})
	if err != nil {
		return f, err
	}
	text, err := os.ReadFile(times)
	if err != nil {
		return f, err
	}
	var began, ended int64
	if _, err := fmt.Sscan(string(text), &began, &ended); err != nil {
		return f, fmt.Errorf("the installer did not run: %w", err)
	}
	f.took -= time.Duration(ended - began)
	return f, nil
}

// alone makes the folder of programs for oursAlone: an installer that notes when
// it ran, and a Python under a name that is not asked to compile.
func (b *bench) alone() error {
	b.tools = filepath.Join(b.dir, "tools")
	python, err := exec.LookPath("/usr/bin/python3.11")
	if err != nil {
		return err
	}
	script := "#!/bin/sh\nbegan=$(/bin/date +%s%N)\n'" + b.uv + "' \"$@\"\ncode=$?\necho $began $(/bin/date +%s%N) > \"$TIMES\"\nexit $code\n"
	return errors.Join(
		os.Mkdir(b.tools, 0o755),
		os.Symlink(python, filepath.Join(b.tools, "python3")),
		os.WriteFile(filepath.Join(b.tools, "uv"), []byte(script), 0o755),
	)
}

func (b *bench) oursIn(s source, repository, cache string, env []string) (figure, report, error) {
	work, err := os.MkdirTemp(b.dir, "ours-")
	if err != nil {
		return figure{}, report{}, err
	}
	if cache == "" {
		cache = filepath.Join(work, "cache")
	}
	full := b.proxied + "/" + repository
	j := job{
		Cache: cache, Report: filepath.Join(work, "report.json"),
		Package: plan.Package{
			Project: "bench", Model: "model", Root: s.repository, Path: ".", Base: b.proxied + "/base:1",
			Platform: "linux/" + runtime.GOARCH, Python: "3.11", Requirements: s.requirements,
			Train: []string{"python", "train.py"}, Serve: []string{"python", "serve.py"},
			Created: time.Unix(1_700_000_000, 0).UTC(), Layout: filepath.Join(work, "image"),
			Reuse: []string{full + ":" + plan.Marker}, Ahead: full,
		},
		Push: plan.Push{Layout: filepath.Join(work, "image"), Repository: full, Tags: []string{"1"}, Marker: plan.Marker},
	}
	text, err := json.Marshal(j)
	if err != nil {
		return figure{}, report{}, err
	}
	file := filepath.Join(work, "job.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return figure{}, report{}, err
	}
	f, err := b.measure(func() error {
		cmd := exec.CommandContext(b.ctx, b.self, "-job", file)
		cmd.Env = append(os.Environ(), "UV_CACHE_DIR="+filepath.Join(b.dir, oursCache))
		cmd.Env = append(cmd.Env, env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("towline: %w\n%s", err, out)
		}
		return nil
	})
	if err != nil {
		return f, report{}, err
	}
	var r report
	if text, err = os.ReadFile(j.Report); err == nil {
		err = json.Unmarshal(text, &r)
	}
	f.peak = r.Peak - r.Idle
	f.took -= r.Read
	return f, r, err
}
