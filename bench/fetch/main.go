//go:build linux

// Command fetch measures how long `towline fetch` takes for an archive of 1 GB
// over loopback, against curl and unzip in the same run and in turn, how much
// memory it takes, and what it sends again over connections that are cut. It
// needs curl and unzip.
//
//	go run ./bench/fetch bin/towline
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gitlab.com/towline/towline/internal/gitlabtest"
)

const (
	ratioMost  = 0.7
	memoryMost = 64_000 // kB
	bytesMost  = 1.05
	project    = 7
	token      = "token-of-the-measurement"
)

func main() {
	megabytes := flag.Int64("size", 1000, "size of the archive, in MB")
	rounds := flag.Int("rounds", 3, "how often each does it")
	flag.Parse()
	if err := run(flag.Arg(0), *megabytes<<20, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
}

// bench is one run of the measurement.
type bench struct {
	towline, dir string
	gitlab       *gitlabtest.Server
	size         int64 // of the archive
}

func run(towline string, size int64, rounds int) error {
	for _, name := range []string{"curl", "unzip"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w: install Debian's package of that name", err)
		}
	}
	program, err := filepath.Abs(towline)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-fetch-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{towline: program, dir: dir}
	stop, err := b.serve(size)
	if err != nil {
		return err
	}
	defer stop()
	return errors.Join(b.speed(rounds), b.cut())
}

// serve starts a GitLab with the archive.
func (b *bench) serve(size int64) (func(), error) {
	path := filepath.Join(b.dir, "artifacts.zip")
	if err := generate(path, size); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	b.size = info.Size()
	b.gitlab = gitlabtest.New("")
	b.gitlab.AddProject(gitlabtest.ProjectSettings{ID: project, Path: "science/model"})
	b.gitlab.AddToken(token, gitlabtest.Credential{Projects: []int{project}})
	if _, err := b.gitlab.AddJob(gitlabtest.Job{Project: project, Pipeline: 1, ID: 1, Name: "train", Artifacts: path}); err != nil {
		return nil, err
	}
	server := httptest.NewServer(http.Handler(b.gitlab))
	b.gitlab.API = server.URL + "/api/v4"
	return server.Close, nil
}

func (b *bench) speed(rounds int) error {
	fmt.Printf("an archive of %.2f GB of mixed files\n", float64(b.size)/1e9)
	var ours, theirs []time.Duration
	peak := 0
	for range rounds {
		took, err := b.peers()
		if err != nil {
			return err
		}
		theirs = append(theirs, took)
		took, high, err := b.ours()
		if err != nil {
			return err
		}
		ours, peak = append(ours, took), max(peak, high)
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	mine, other := ours[rounds/2], theirs[rounds/2]
	fmt.Printf("  towline fetch %.2f s, curl and unzip %.2f s\n", mine.Seconds(), other.Seconds())
	return errors.Join(
		want("time, of that of curl and unzip", mine.Seconds()/other.Seconds(), ratioMost, ""),
		want("peak memory", float64(peak)/1000, memoryMost/1000, " MB"),
	)
}

// peers downloads and unpacks as scripts do.
func (b *bench) peers() (time.Duration, error) {
	zip, into := filepath.Join(b.dir, "peer.zip"), filepath.Join(b.dir, "peer")
	defer func() { _, _ = os.RemoveAll(into), os.Remove(zip) }()
	begin := time.Now()
	for _, cmd := range []*exec.Cmd{
		exec.Command("curl", "-sSfL", "-o", zip, "-H", "PRIVATE-TOKEN: "+token, b.gitlab.API+"/projects/7/jobs/1/artifacts"),
		exec.Command("unzip", "-q", zip, "-d", into),
	} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%s: %w\n%s", cmd.Args[0], err, out)
		}
	}
	return time.Since(begin), nil
}

// ours runs towline and watches its memory.
func (b *bench) ours() (took time.Duration, peak int, err error) {
	into := filepath.Join(b.dir, "ours")
	defer func() { _ = os.RemoveAll(into) }()
	cmd := exec.Command(b.towline, "fetch", "--project", "7", "--job", "1", "--into", into, "--api", b.gitlab.API)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "TOWLINE_GITLAB_TOKEN=" + token}
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
				return 0, 0, fmt.Errorf("towline fetch: %w\n%s", err, said.String())
			}
			return time.Since(begin), peak, nil
		case <-time.After(5 * time.Millisecond):
			peak = max(peak, highWater(cmd.Process.Pid))
		}
	}
}

// cut breaks three connections, and counts what is sent in all.
func (b *bench) cut() error {
	before := b.sent()
	// The first request is for the archive's end.
	b.gitlab.SetTransfer(gitlabtest.Transfer{Cuts: []int64{0, b.size / 40, b.size / 50, b.size / 60}})
	if _, _, err := b.ours(); err != nil {
		return err
	}
	return want("bytes sent, over three connections that were cut", float64(b.sent()-before)/float64(b.size), bytesMost, " of the archive")
}

func (b *bench) sent() int64 {
	var all int64
	for _, r := range b.gitlab.Requests() {
		all += r.Sent
	}
	return all
}

func want(what string, found, limit float64, unit string) error {
	fmt.Printf("  %-52s %8.2f%s, wanted at most %g%s\n", what, found, unit, limit, unit)
	if found > limit {
		return fmt.Errorf("%s: %.2f%s, wanted at most %g%s", what, found, unit, limit, unit)
	}
	return nil
}

// highWater is the process's peak resident memory in kB, 0 once it has ended.
func highWater(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kB int
	_, _ = fmt.Sscan(rest, &kB)
	return kB
}
