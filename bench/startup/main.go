// Command startup measures how long `towline --help` takes to start, against
// an empty program that links the same libraries. Both run in turn, so that
// whatever else the machine does slows both; only the ratio is judged.
//
//	go run ./bench/startup bin/towline
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// target is the greatest ratio that is still good.
const target = 1.3

func main() {
	runs := flag.Int("runs", 200, "how often each program is started")
	flag.Parse()
	if err := run(flag.Arg(0), *runs); err != nil {
		fmt.Fprintln(os.Stderr, "startup:", err)
		os.Exit(1)
	}
}

func run(towline string, runs int) error {
	if towline == "" {
		return errors.New("wanted the program as an argument, such as bin/towline")
	}
	folder, err := os.MkdirTemp("", "bench-startup-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	peer := filepath.Join(folder, "peer")
	if err := build(peer); err != nil {
		return err
	}
	copies, err := install(folder, towline, peer)
	if err != nil {
		return err
	}
	ours, theirs, err := measure(copies[0], copies[1], runs)
	if err != nil {
		return err
	}
	ratio := float64(middle(ours)) / float64(middle(theirs))
	fmt.Printf("start-up, median (fastest tenth) of %d runs each, in turn\n", runs)
	fmt.Printf("  towline --help  %6.2f ms (%.2f)\n", ms(middle(ours)), ms(ours[len(ours)/10]))
	fmt.Printf("  empty peer      %6.2f ms (%.2f)\n", ms(middle(theirs)), ms(theirs[len(theirs)/10]))
	fmt.Printf("  ratio           %6.2f, wanted at most %.1f\n", ratio, target)
	if ratio > target {
		return fmt.Errorf("the ratio is %.2f, wanted at most %.1f", ratio, target)
	}
	return nil
}

// build compiles the peer as the Makefile compiles towline.
func build(peer string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", peer, "./bench/startup/peer")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the peer: %w\n%s", err, out)
	}
	return nil
}

// install copies programs into the folder, as installing them would: what the
// linker left is read in smaller pages, which alone costs a start 1.5 ms.
func install(folder string, programs ...string) ([]string, error) {
	var copies []string
	for i, program := range programs {
		body, err := os.ReadFile(program)
		if err != nil {
			return nil, err
		}
		name := filepath.Join(folder, fmt.Sprintf("installed-%d", i))
		if err := os.WriteFile(name, body, 0o755); err != nil {
			return nil, err
		}
		copies = append(copies, name)
	}
	return copies, nil
}

// measure starts both programs in turn and returns what each start took, sorted.
func measure(towline, peer string, runs int) (ours, theirs []time.Duration, err error) {
	const warmUps = 5
	for i := range runs + warmUps {
		first, err := start(towline)
		if err != nil {
			return nil, nil, err
		}
		second, err := start(peer)
		if err != nil {
			return nil, nil, err
		}
		if i >= warmUps {
			ours, theirs = append(ours, first), append(theirs, second)
		}
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	return ours, theirs, nil
}

func start(program string) (time.Duration, error) {
	cmd := exec.Command(program, "--help")
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	cmd.Env = []string{"HOME=/nonexistent", "PATH=" + os.Getenv("PATH")}
	begin := time.Now()
	err := cmd.Run()
	took := time.Since(begin)
	if err != nil {
		return 0, fmt.Errorf("%s --help: %w", program, err)
	}
	return took, nil
}

// middle is the median of sorted durations.
func middle(sorted []time.Duration) time.Duration { return sorted[len(sorted)/2] }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
