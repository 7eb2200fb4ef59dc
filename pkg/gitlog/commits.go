package gitlog

import (
	"context"
	"slices"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/release"
)

// since are all commits since base (all there are, if base is ""), newest
// first, marked with whether they concern the component. Not ok says that base
// is not in the history of head.
func (r reader) since(ctx context.Context, c release.Component, head, base string) (commits []release.Commit, ok bool, err error) {
	if head == base {
		return nil, true, nil
	}
	span := []string{head}
	if base != "" {
		span = append(span, "^"+base)
	}
	var walked walk
	var own, merged []string
	err = together(
		func() (err error) {
			walked, err = r.walk(ctx, span)
			return err
		},
		func() (err error) {
			own, err = r.concerning(ctx, c, span, "--no-merges")
			return err
		},
		func() (err error) {
			merged, err = r.concerning(ctx, c, span, "--first-parent", "--merges")
			return err
		},
	)
	if err != nil || base != "" && !walked.boundary[base] {
		return nil, false, err
	}
	mark(walked.commits, slices.Concat(own, merged), c.Everything())
	walked.markEmpty()
	return walked.commits, true, nil
}

// together runs the functions side by side, and returns the first error.
func together(functions ...func() error) error {
	errs := make([]error, len(functions))
	var wait sync.WaitGroup
	for i, function := range functions {
		wait.Go(func() { errs[i] = function() })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// walk is what one walk from head to the base has seen.
type walk struct {
	commits  []release.Commit
	trees    map[string]string // commit → tree, of the boundary too
	boundary map[string]bool   // the last commits that do not count any more
}

// walk lists the commits of the span, no commit before its children.
func (r reader) walk(ctx context.Context, span []string) (walk, error) {
	args := append([]string{"log", "-z", "--boundary", "--topo-order", "--encoding=UTF-8", "--format=%m%H%x1f%T%x1f%P%x1f%B"}, span...)
	out, err := r.git.output(ctx, append(args, "--")...)
	if err != nil {
		return walk{}, missingHistory("read commits", err)
	}
	w := walk{trees: map[string]string{}, boundary: map[string]bool{}}
	for entry := range strings.SplitSeq(string(out), "\x00") {
		fields := strings.SplitN(entry, "\x1f", 4)
		if len(fields) != 4 {
			continue
		}
		hash := fields[0][1:]
		w.trees[hash] = fields[1]
		if fields[0][0] == '-' {
			w.boundary[hash] = true
			continue
		}
		w.commits = append(w.commits, release.Commit{
			Hash: hash, Parents: strings.Fields(fields[2]), Message: strings.ToValidUTF8(fields[3], "�"),
		})
	}
	return w, nil
}

// concerning are the commits that change the component's paths, in one of two
// passes: for the commits themselves, and for the merges by which they came in.
func (r reader) concerning(ctx context.Context, c release.Component, span []string, pass ...string) ([]string, error) {
	if c.Everything() {
		return nil, nil
	}
	args := slices.Concat([]string{"rev-list"}, pass, span, []string{"--"}, pathspecs(c))
	out, err := r.git.output(ctx, args...)
	if err != nil {
		return nil, missingHistory("read commits of "+c.Name, err)
	}
	return strings.Fields(string(out)), nil
}

// pathspecs are the component's paths as git takes them.
func pathspecs(c release.Component) []string {
	var specs []string
	for _, p := range slices.Concat(c.Paths, c.Shared) {
		specs = append(specs, ":(literal)"+strings.TrimSuffix(p, "/"))
	}
	for _, p := range c.Exclude {
		specs = append(specs, ":(exclude,literal)"+strings.TrimSuffix(p, "/"))
	}
	return specs
}

// mark says of each commit whether it concerns the component. Where that is
// the whole repository, it is every commit that is no merge, and the merges of
// the first-parent line.
func mark(commits []release.Commit, concerning []string, everything bool) {
	concern := map[string]bool{}
	for _, hash := range concerning {
		concern[hash] = true
	}
	line := ""
	if len(commits) > 0 {
		line = commits[0].Hash
	}
	for i, commit := range commits {
		onLine := commit.Hash == line
		if onLine && len(commit.Parents) > 0 {
			line = commit.Parents[0]
		}
		commits[i].Touches = concern[commit.Hash] || everything && (!commit.Merge() || onLine)
	}
}

// emptyTrees are the hashes of a tree without files, in both of git's formats.
var emptyTrees = []string{
	"4b825dc642cb6eb9a060e54bf8d69288fbee4904",
	"6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}

// markEmpty finds the commits that changed nothing: those with their parent's tree.
func (w walk) markEmpty() {
	for i, commit := range w.commits {
		tree := w.trees[commit.Hash]
		if len(commit.Parents) == 0 {
			w.commits[i].Empty = slices.Contains(emptyTrees, tree)
			continue
		}
		w.commits[i].Empty = !commit.Merge() && tree == w.trees[commit.Parents[0]]
	}
}
