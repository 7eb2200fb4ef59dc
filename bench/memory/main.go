//go:build linux

// Command memory measures the peak memory of `towline run` itself, local cloud
// included and the model's own processes not, over a whole release of an
// example: package, train, evaluate, judge, deploy, predict.
//
//	go run ./bench/memory bin/towline examples/breast-cancer
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// target is the greatest peak that is still good, in kB.
const target = 150_000

func main() {
	flag.Parse()
	if err := run(flag.Arg(0), flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
}

func run(towline, example string) error {
	if towline == "" || example == "" {
		return errors.New("wanted the program and an example as arguments, such as bin/towline examples/breast-cancer")
	}
	folder, err := os.MkdirTemp("", "bench-memory-")
	if err != nil {
		return err
	}
	defer func() { _ = exec.Command("chmod", "-R", "u+w", folder).Run(); _ = os.RemoveAll(folder) }()
	repository, cache := filepath.Join(folder, "repository"), filepath.Join(folder, "cache")
	if err := os.CopyFS(repository, os.DirFS(example)); err != nil {
		return err
	}
	fmt.Println("peak resident memory of towline itself")
	worst := 0
	for _, kind := range []string{"everything done", "nothing to do"} {
		peak, took, err := watch(towline, repository, cache)
		if err != nil {
			return err
		}
		worst = max(worst, peak)
		fmt.Printf("  towline run, %-16s %6.1f MB in %.1f s\n", kind+":", float64(peak)/1000, took.Seconds())
	}
	fmt.Printf("  wanted at most %20.0f MB\n", target/1000.0)
	if worst > target {
		return fmt.Errorf("the peak is %.1f MB, wanted at most %.0f MB", float64(worst)/1000, target/1000.0)
	}
	return nil
}

// watch runs a release and reads the process's own high-water mark until it
// ends. The mark only rises, so what is read last is the peak. What wait4
// reports would not do: it counts the children too.
func watch(towline, repository, cache string) (peak int, took time.Duration, err error) {
	program, err := filepath.Abs(towline)
	if err != nil {
		return 0, 0, err
	}
	cmd := exec.Command(program, "run", "-C", repository, "--target", "local")
	cmd.Env = append(os.Environ(), "TOWLINE_CACHE="+cache) // nothing is there yet: layers are made too
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return 0, 0, fmt.Errorf("towline run: %w\n%s", err, said.String())
			}
			return peak, time.Since(begin), nil
		case <-time.After(5 * time.Millisecond):
			peak = max(peak, highWater(cmd.Process.Pid))
		}
	}
}

// highWater is the process's peak resident memory in kB, 0 once it has ended.
func highWater(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, found := strings.Cut(string(status), "VmHWM:")
	if !found {
		return 0
	}
	var kB int
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		return 0
	}
	return kB
}
