// Command version measures `towline version` against git itself, on generated
// repositories: in clones of depth 20 without tags against
// `git fetch --unshallow --tags`, and in complete clones against the git
// commands that an answer needs.
//
//	go run ./bench/version bin/towline
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The greatest figures that are still good.
const (
	mostTime  = 0.4 // of a fetch that completes the clone
	mostBytes = 0.6
	mostWarm  = 0.1
	mostOver  = 1.5 // of the git commands that the answer needs
	longest   = time.Second
)

func main() {
	runs := flag.Int("runs", 5, "how often each fetch is measured; complete clones are read six times as often")
	flag.Parse()
	if err := run(flag.Arg(0), *runs); err != nil {
		fmt.Fprintln(os.Stderr, "version:", err)
		os.Exit(1)
	}
}

func run(towline string, runs int) error {
	if towline == "" {
		return errors.New("wanted the program as an argument, such as bin/towline")
	}
	towline, err := filepath.Abs(towline)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "bench-version-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	b := bench{towline: towline, folder: folder, runs: runs}
	var problems []error
	for _, r := range []repository{
		{name: "single", models: 1, commits: 10_000, tags: 200, since: 50},
		{name: "ten models", models: 10, commits: 10_000, tags: 1_000, since: 400},
	} {
		problems = append(problems, b.shallow(r))
	}
	for _, r := range []repository{
		{name: "single", models: 1, commits: 10_000, tags: 200, since: 50},
		{name: "ten models", models: 10, commits: 10_000, tags: 1_000, since: 400},
		{name: "large", models: 1, commits: 50_000, tags: 5_000, since: 10},
		{name: "large, fifty models", models: 50, commits: 50_000, tags: 5_000, since: 500},
	} {
		problems = append(problems, b.complete(r))
	}
	return errors.Join(problems...)
}

type bench struct {
	towline, folder string
	runs            int
}

// fetched is what one way to an answer cost.
type fetched struct {
	took  time.Duration
	bytes int64
}

// shallow compares the ways to an answer from a clone of depth 20.
func (b bench) shallow(r repository) error {
	bare, err := b.generate(r)
	if err != nil {
		return err
	}
	want, err := b.answer(r, bare)
	if err != nil {
		return err
	}
	var whole, ours, warm []fetched
	for range b.runs {
		clone, err := b.clone(bare, "--depth", "20", "--no-tags")
		if err != nil {
			return err
		}
		first, again, err := b.fetchOurs(r, clone, want)
		if err != nil {
			return err
		}
		ours, warm = append(ours, first), append(warm, again)
		theirs, err := b.fetchWhole(clone)
		if err != nil {
			return err
		}
		whole = append(whole, theirs)
		if err := os.RemoveAll(clone); err != nil {
			return err
		}
	}
	w, o, c := middle(whole), middle(ours), middle(warm)
	time, bytes, cached := ratio(o.took, w.took), float64(o.bytes)/float64(w.bytes), ratio(c.took, w.took)
	fmt.Printf("clone of depth 20 without tags, %s: %d commits, %d tags, %s; medians of %d\n", r.name, r.commits, r.tags, want, b.runs)
	fmt.Printf("  git fetch --unshallow --tags  %8.1f ms  %8.2f MB\n", ms(w.took), mb(w.bytes))
	fmt.Printf("  towline version               %8.1f ms  %8.2f MB\n", ms(o.took), mb(o.bytes))
	fmt.Printf("  towline version, once more    %8.1f ms\n", ms(c.took))
	fmt.Printf("  ratios: time %.2f (≤ %.1f), bytes %.2f (≤ %.1f), kept %.3f (≤ %.1f)\n", time, mostTime, bytes, mostBytes, cached, mostWarm)
	if time > mostTime || bytes > mostBytes || cached > mostWarm {
		return fmt.Errorf("depth 20, %s: a ratio is above its limit", r.name)
	}
	return nil
}

// fetchOurs is towline twice: with nothing kept, and with what the first kept.
func (b bench) fetchOurs(r repository, clone, want string) (first, again fetched, err error) {
	history := filepath.Join(clone, ".git", "towline")
	for i, f := range []*fetched{&first, &again} {
		took, out, err := b.time(clone, b.towline, b.versionArgs(r)...)
		if err != nil {
			return first, again, err
		}
		if out != want {
			return first, again, fmt.Errorf("run %d in a clone of depth 20 says %q, wanted %q", i+1, out, want)
		}
		f.took, f.bytes = took, size(history)
	}
	return first, again, nil
}

func (b bench) fetchWhole(clone string) (fetched, error) {
	objects := filepath.Join(clone, ".git", "objects")
	before := size(objects)
	took, _, err := b.time(clone, "git", "-c", "gc.auto=0", "fetch", "--quiet", "--unshallow", "--tags")
	return fetched{took, size(objects) - before}, err
}

// complete compares towline with the git commands that it needs.
func (b bench) complete(r repository) error {
	bare, err := b.generate(r)
	if err != nil {
		return err
	}
	clone, err := b.clone(bare)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(clone) }()
	var ours, theirs, starts []fetched
	for i := range 6*b.runs + 1 {
		took, _, err := b.time(clone, b.towline, b.versionArgs(r)...)
		if err != nil {
			return err
		}
		start, _, err := b.time(clone, b.towline, "--version")
		if err != nil {
			return err
		}
		sum, err := b.needed(r, clone)
		if err != nil {
			return err
		}
		if i > 0 {
			ours, theirs = append(ours, fetched{took: took}), append(theirs, fetched{took: sum})
			starts = append(starts, fetched{took: start})
		}
	}
	o, g, start := fastest(ours).took, fastest(theirs).took, fastest(starts).took
	fmt.Printf("complete clone, %s: %d commits, %d tags; fastest tenth of %d\n", r.name, r.commits, r.tags, len(ours))
	fmt.Printf("  the git commands it needs     %8.1f ms\n", ms(g))
	fmt.Printf("  towline version               %8.1f ms (≤ %.0f), of which to start %.1f\n", ms(o), ms(longest), ms(start))
	fmt.Printf("  ratio %.2f with the start, %.2f without (≤ %.1f)\n", ratio(o, g), ratio(o-start, g), mostOver)
	if ratio(o, g) > mostOver || o > longest {
		return fmt.Errorf("complete clone, %s: towline took too long", r.name)
	}
	return nil
}

// needed is how long git takes for what an answer needs, one command after the
// other: where everything is, the remote, the tags, the commits since the base
// and those of the model, and the state of the files.
func (b bench) needed(r repository, clone string) (time.Duration, error) {
	var sum time.Duration
	base := "^" + r.tag(0, r.versions()) + "^{}"
	commands := [][]string{
		{"rev-parse", "--show-toplevel", "--git-common-dir", "--show-prefix", "--is-shallow-repository", "--verify", "HEAD^{commit}"},
		{"config", "-z", "--get-regexp", `^remote\..*\.(url|tagopt)$`},
		{"for-each-ref", "--format=%(refname)%00%(objecttype)%00%(objectname)%00%(*objecttype)%00%(*objectname)%00" +
			"%(taggerdate:unix)%00%(if:equals=tag)%(objecttype)%(then)%(contents)%(end)%00", "refs/tags/" + r.prefix(0) + "*"},
		{"log", "-z", "--boundary", "--topo-order", "--format=%m%H%x1f%T%x1f%P%x1f%B", "HEAD", base, "--"},
		{"status", "--porcelain=v2", "--branch", "--no-ahead-behind", "-z", "--", ".", ":(exclude,glob)**/.towline/**"},
	}
	if r.models > 1 {
		commands = append(commands,
			[]string{"rev-list", "--no-merges", "HEAD", base, "--", r.path(0)},
			[]string{"rev-list", "--first-parent", "--merges", "HEAD", base, "--", r.path(0)},
			[]string{"rev-parse", "--verify", "--quiet", "HEAD:" + r.path(0)})
	}
	for _, args := range commands {
		took, _, err := b.time(clone, "git", args...)
		if err != nil {
			return 0, err
		}
		sum += took
	}
	return sum, nil
}

// answer is what a complete clone says.
func (b bench) answer(r repository, bare string) (string, error) {
	clone, err := b.clone(bare)
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(clone) }()
	_, out, err := b.time(clone, b.towline, b.versionArgs(r)...)
	return out, err
}

func (b bench) versionArgs(r repository) []string {
	return []string{"version", "--dry-run", "--model", r.model(0)}
}

func (b bench) clone(bare string, options ...string) (string, error) {
	folder := filepath.Join(b.folder, "clone")
	args := append([]string{"clone", "--quiet"}, options...)
	_, _, err := b.time(b.folder, "git", append(args, "file://"+bare, folder)...)
	return folder, err
}

// time runs a program and returns what it wrote to stdout.
func (b bench) time(dir, program string, args ...string) (time.Duration, string, error) {
	cmd := exec.Command(program, args...)
	var out, told strings.Builder
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, b.environ(), &out, &told
	begin := time.Now()
	err := cmd.Run()
	took := time.Since(begin)
	if err != nil {
		return 0, "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, told.String())
	}
	return took, strings.TrimSpace(out.String()), nil
}

// environ has the job's number in it, so that a candidate needs no identity.
func (b bench) environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.folder, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1",
		"GITLAB_CI=true", "CI_PIPELINE_IID=1", "CI_PROJECT_ID=1",
	}
}

// size is how many bytes a folder's files have.
func size(folder string) int64 {
	var sum int64
	_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if info, err := entry.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

// fastest is what a tenth of the runs kept to: what else the machine does
// slows one program more than five that run one after the other.
func fastest(list []fetched) fetched {
	slices.SortFunc(list, func(a, b fetched) int { return int(a.took - b.took) })
	return list[len(list)/10]
}

// middle is the median by time.
func middle(list []fetched) fetched {
	slices.SortFunc(list, func(a, b fetched) int { return int(a.took - b.took) })
	return list[len(list)/2]
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }
