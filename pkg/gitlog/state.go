package gitlog

import (
	"context"
	"strings"
)

// State is what one look at the checkout tells.
type State struct {
	Ref   string // the branch that is checked out, or "" where HEAD stands on a commit by itself
	Dirty bool   // the folder has changes that are not committed, new files included; what Towline leaves behind does not count
}

// State looks at branch and files at once.
func (r *Repo) State(ctx context.Context) (State, error) {
	folder := "."
	if r.prefix != "" {
		folder = ":(literal)" + strings.TrimSuffix(r.prefix, "/")
	}
	out, err := r.git.output(ctx, "status", "--porcelain=v2", "--branch", "--no-ahead-behind", "-z", "--untracked-files=normal",
		"--ignore-submodules=none", "--", folder, ":(exclude,glob)**/.towline/**")
	if err != nil {
		return State{}, readFault("read the state of "+r.root, err)
	}
	var state State
	for entry := range strings.SplitSeq(string(out), "\x00") {
		head, isHead := strings.CutPrefix(entry, "# branch.head ")
		switch {
		case isHead && head != "(detached)":
			state.Ref = head
		case entry != "" && !strings.HasPrefix(entry, "# "):
			state.Dirty = true
		}
	}
	return state, nil
}

// Tagged finds out which of the names are tags of this clone.
func (r *Repo) Tagged(ctx context.Context, names []string) (map[string]bool, error) {
	tagged := map[string]bool{}
	if len(names) == 0 {
		return tagged, nil
	}
	out, err := r.git.pipe(ctx, strings.NewReader("refs/tags/"+strings.Join(names, "\nrefs/tags/")+"\n"), "cat-file", "--batch-check")
	if err != nil {
		return nil, readFault("read tags", err)
	}
	answers := strings.Split(string(out), "\n")
	for i, name := range names {
		tagged[name] = i < len(answers) && !strings.HasSuffix(answers[i], " missing")
	}
	return tagged, nil
}
