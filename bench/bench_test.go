//go:build bench

// Package bench_test measures towline against peers in one run, so that each
// figure is a ratio that holds on any machine.
package bench_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	rounds          = 31  // of each program, in turn
	startUpAtMost   = 1.3 // times the peer's
	memoryAtMostKiB = 150 << 10
)

// towline --help against an empty cobra program that links the same libraries.
func TestStartUp(t *testing.T) {
	towline, peer := build(t, "./cmd/towline"), build(t, "./bench/peer")
	var ours, theirs []time.Duration
	for range rounds {
		ours = append(ours, timed(t, towline, "--help"))
		theirs = append(theirs, timed(t, peer, "--help"))
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	ratio := float64(ours[rounds/2]) / float64(theirs[rounds/2])
	t.Logf("start-up, median of %d: towline %v, peer %v, ratio %.2f", rounds, ours[rounds/2], theirs[rounds/2], ratio)
	if ratio > startUpAtMost {
		t.Errorf("towline --help takes %.2f times as long as an empty program, at most %.1f", ratio, startUpAtMost)
	}
}

// The peak memory of towline run itself, without the model's processes.
func TestPeakMemory(t *testing.T) {
	repository := example(t)
	cmd := exec.Command(build(t, "./cmd/towline"), "run", "--target", "local", "-C", repository)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	peak, err := watch(cmd.Process.Pid, ended)
	if err != nil {
		t.Fatalf("towline run: %v\n%s", err, &out)
	}
	t.Logf("towline run: peak memory %d MiB", peak>>10)
	if peak > memoryAtMostKiB {
		t.Errorf("towline run took %d KiB, at most %d", peak, memoryAtMostKiB)
	}
}

// watch reads a process's high-water mark, in KiB, until it ends.
func watch(pid int, ended <-chan error) (peak int, err error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return peak, err
		case <-tick.C:
			peak = max(peak, highWater(pid))
		}
	}
}

func highWater(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib
		}
	}
	return 0
}

func build(t *testing.T, program string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), filepath.Base(program))
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, program)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, text)
	}
	return out
}

func timed(t *testing.T, program string, args ...string) time.Duration {
	t.Helper()
	start := time.Now()
	if text, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, text)
	}
	return time.Since(start)
}

// example is a copy of a model repository, without history or state.
func example(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "examples", "breast-cancer"))); err != nil {
		t.Fatal(err)
	}
	return dir
}
