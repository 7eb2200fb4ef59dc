package gitlog

import (
	"context"
	"slices"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/release"
)

// commits are all commits since base (all there are, if base is ""), newest
// first, marked with whether they concern the component.
func (r reader) commits(ctx context.Context, c release.Component, head, base string) ([]release.Commit, error) {
	span := []string{head}
	if base != "" {
		span = append(span, "^"+base)
	}
	if head == base {
		return nil, nil
	}
	var commits []release.Commit
	concern := map[string]bool{}
	var mu sync.Mutex
	err := together(
		func() (err error) {
			commits, err = r.log(ctx, span)
			return err
		},
		func() error { return r.concerning(ctx, c, span, &mu, concern, "--no-merges") },
		func() error { return r.concerning(ctx, c, span, &mu, concern, "--first-parent", "--merges") },
	)
	if err != nil {
		return nil, err
	}
	mark(commits, concern, c.Everything())
	return commits, r.markEmpty(ctx, commits)
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

func (r reader) log(ctx context.Context, span []string) ([]release.Commit, error) {
	args := append([]string{"log", "-z", "--topo-order", "--encoding=UTF-8", "--format=%H%x1f%P%x1f%B"}, span...)
	out, err := r.git.output(ctx, append(args, "--")...)
	if err != nil {
		return nil, missingHistory("read commits", err)
	}
	var commits []release.Commit
	for entry := range strings.SplitSeq(string(out), "\x00") {
		fields := strings.SplitN(entry, "\x1f", 3)
		if len(fields) != 3 {
			continue
		}
		commits = append(commits, release.Commit{
			Hash: fields[0], Parents: strings.Fields(fields[1]), Message: strings.ToValidUTF8(fields[2], "�"),
		})
	}
	return commits, nil
}

// concerning adds the commits that change the component's paths: in two
// passes, for the commits themselves, and for the merges by which they came in.
func (r reader) concerning(ctx context.Context, c release.Component, span []string, mu *sync.Mutex, into map[string]bool, pass ...string) error {
	if c.Everything() {
		return nil
	}
	args := append(append([]string{"rev-list"}, pass...), span...)
	out, err := r.git.output(ctx, append(append(args, "--"), pathspecs(c)...)...)
	if err != nil {
		return missingHistory("read commits of "+c.Name, err)
	}
	mu.Lock()
	defer mu.Unlock()
	for hash := range strings.FieldsSeq(string(out)) {
		into[hash] = true
	}
	return nil
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
func mark(commits []release.Commit, concern map[string]bool, everything bool) {
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

// markEmpty finds the commits without changes among those that demand a
// version: their scope says which component they mean.
func (r reader) markEmpty(ctx context.Context, commits []release.Commit) error {
	var asked []string
	for _, commit := range commits {
		if !commit.Merge() && release.ParseMessage(commit.Message).ReleaseAs != "" {
			asked = append(asked, commit.Hash)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	out, err := r.git.pipe(ctx, strings.NewReader(strings.Join(asked, "\n")+"\n"),
		"diff-tree", "--stdin", "--root", "-r", "--raw", "--no-renames")
	if err != nil {
		return missingHistory("read commits", err)
	}
	changed := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		changed[strings.TrimSpace(line)] = true
	}
	for i, commit := range commits {
		commits[i].Empty = slices.Contains(asked, commit.Hash) && !changed[commit.Hash]
	}
	return nil
}
