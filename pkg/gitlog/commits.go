package gitlog

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/release"
)

// since are all commits since base, newest first, marked with whether they
// concern the component. Not ok says that base is not in the history of head.
func (r reader) since(ctx context.Context, c release.Component, head, base string) (commits []release.Commit, ok bool, err error) {
	switch base {
	case head:
		return nil, true, nil
	case "":
		commits, err = r.demands(ctx, c, head)
		return commits, true, err
	}
	span := []string{head, "^" + base}
	var walked walk
	var concerning []string
	look := func() (err error) {
		walked, err = r.walk(ctx, span)
		return err
	}
	list := func() (err error) {
		concerning, err = r.concerning(ctx, c, span)
		return err
	}
	if r.trees == nil {
		err = together(look, list)
	} else if err = look(); err == nil && walked.boundary[base] && !c.Everything() {
		if err = r.trees(ctx, walked.allTrees()); err == nil {
			err = list()
		}
	}
	if err != nil || !walked.boundary[base] {
		return nil, false, err
	}
	mark(walked.commits, concerning, c.Everything())
	walked.markEmpty()
	return walked.commits, true, nil
}

// demands are the commits that matter where there is no base, and so no bump:
// those that demand a version, and those that take commits back.
func (r reader) demands(ctx context.Context, c release.Component, head string) ([]release.Commit, error) {
	walked, err := r.walk(ctx, []string{"-i", "--grep=^release-as:", "--grep=^this reverts commit", "--grep=^revert", head})
	if err != nil || !slices.ContainsFunc(walked.commits, demanding) {
		return nil, err
	}
	var parents []string
	for _, commit := range walked.commits {
		parents = append(parents, commit.Parents...)
	}
	if len(parents) > 0 {
		before, err := r.walk(ctx, append([]string{"--no-walk=unsorted"}, parents...))
		if err != nil {
			return nil, err
		}
		maps.Copy(walked.trees, before.trees)
	}
	concerning, err := r.ever(ctx, c, head)
	mark(walked.commits, concerning, false)
	walked.markEmpty()
	return walked.commits, err
}

// ever are the commits that ever changed the component.
func (r reader) ever(ctx context.Context, c release.Component, head string) ([]string, error) {
	if r.trees != nil && !c.Everything() {
		all, err := r.walk(ctx, []string{head})
		if err != nil {
			return nil, err
		}
		if err := r.trees(ctx, all.allTrees()); err != nil {
			return nil, err
		}
	}
	return r.passes(ctx, c, []string{head})
}

func demanding(commit release.Commit) bool {
	return release.ParseMessage(commit.Message).ReleaseAs != ""
}

// atOnce is how many of several functions run side by side.
const atOnce = 8

// together runs the functions side by side, and returns the first error.
func together(functions ...func() error) error {
	errs := make([]error, len(functions))
	room := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for i, function := range functions {
		room <- struct{}{}
		wait.Go(func() {
			errs[i] = function()
			<-room
		})
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

// walkFormat gives mark, hash, tree, parents and message.
const walkFormat = "--format=%m%H%x1f%T%x1f%P%x1f%B"

// walk lists the commits of the span, no commit before its children.
func (r reader) walk(ctx context.Context, span []string) (walk, error) {
	args := append([]string{"log", "-z", "--boundary", "--topo-order", "--encoding=UTF-8", walkFormat}, span...)
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

func (w walk) allTrees() []string { return slices.Collect(maps.Values(w.trees)) }

// concerning are the commits that change the component's paths. Where those
// are the whole repository, mark knows without asking.
func (r reader) concerning(ctx context.Context, c release.Component, span []string) ([]string, error) {
	if c.Everything() {
		return nil, nil
	}
	return r.passes(ctx, c, span)
}

// passes finds the component's commits in two passes: the commits themselves,
// and the merges by which they came into the first-parent line.
func (r reader) passes(ctx context.Context, c release.Component, span []string) ([]string, error) {
	var own, merged []string
	err := together(
		func() (err error) {
			own, err = r.list(ctx, c, span, "--no-merges")
			return err
		},
		func() (err error) {
			merged, err = r.list(ctx, c, span, "--first-parent", "--merges")
			return err
		},
	)
	return slices.Concat(own, merged), err
}

func (r reader) list(ctx context.Context, c release.Component, span []string, pass ...string) ([]string, error) {
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
	if c.Everything() {
		return nil
	}
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
