package gitlog

import (
	"context"
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// Files are the files of the folder: those that git tracks, and with them the
// new ones that it does not ignore. Names are relative to the folder.
type Files struct {
	Tracked []string
	All     []string
}

// Files lists the files of the folder that was opened.
func (r *Repo) Files(ctx context.Context) (Files, error) {
	var tracked, fresh []byte
	err := together(
		func() (err error) {
			tracked, err = r.git.output(ctx, "ls-files", "-z", "--cached", "--", r.folder())
			return err
		},
		func() (err error) {
			fresh, err = r.git.output(ctx, "ls-files", "-z", "--others", "--exclude-standard", "--", r.folder())
			return err
		},
	)
	if err != nil {
		return Files{}, readFault("list the files of "+r.root, err)
	}
	f := Files{Tracked: r.names(tracked)}
	f.All = append(slices.Clone(f.Tracked), r.names(fresh)...)
	return f, nil
}

// ChangedSince lists the files of the folder that differ from a commit, new
// ones included. The commit is base itself if base is a full hash, and else
// the merge base of HEAD and that branch; "" is the default branch.
func (r *Repo) ChangedSince(ctx context.Context, base string) ([]string, error) {
	commit, err := r.mergeBase(ctx, base)
	if err != nil {
		return nil, err
	}
	if base == "" {
		base = commit
	}
	out, err := r.git.output(ctx, "diff", "--name-only", "-z", "--no-renames", "--diff-filter=d", "--no-ext-diff", "--ignore-submodules=all",
		commit, "--", r.folder())
	if err != nil {
		return nil, readFault("find what changed since "+base, err)
	}
	fresh, err := r.git.output(ctx, "ls-files", "-z", "--others", "--exclude-standard", "--", r.folder())
	if err != nil {
		return nil, readFault("list the new files of "+r.root, err)
	}
	names := append(r.names(out), r.names(fresh)...)
	slices.Sort(names)
	return slices.Compact(names), nil
}

// mergeBase finds the commit that a branch and HEAD have in common. A branch
// is looked for at the remote first: the local one may be old.
func (r *Repo) mergeBase(ctx context.Context, base string) (string, error) {
	candidates, what := []string{base}, base
	switch {
	case base == "":
		what = "the default branch"
		candidates = []string{"refs/remotes/" + r.o.Remote + "/HEAD"}
		for _, name := range []string{"main", "master"} {
			candidates = append(candidates, "refs/remotes/"+r.o.Remote+"/"+name, "refs/heads/"+name)
		}
	case !isHash(base):
		candidates = []string{"refs/remotes/" + r.o.Remote + "/" + base, "refs/heads/" + base}
	}
	var last error
	for _, candidate := range candidates {
		if _, err := r.git.output(ctx, "rev-parse", "--verify", "--quiet", candidate+"^{commit}"); err != nil && ctx.Err() == nil {
			continue
		}
		out, err := r.git.output(ctx, "merge-base", "HEAD", candidate)
		if err == nil {
			return strings.TrimSpace(string(out)), nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		last = err
	}
	if last == nil && base == "" {
		return "", fault.Newf(fault.Missing, "find what changed since the default branch: nothing tells which one it is").
			Hintf("let git ask the remote: git remote set-head %s --auto", r.o.Remote)
	}
	if last == nil {
		return "", fault.Newf(fault.Missing, "find what changed since %s: this clone has no commit in common with it: it does not have it", base).
			Hintf("fetch more history: GIT_DEPTH: 0 in the job's variables, or: git fetch %s %s", r.o.Remote, base)
	}
	return "", fault.Newf(fault.Missing, "find what changed since %s: this clone has no commit in common with it: %w", what, last).
		Hintf("fetch more history: GIT_DEPTH: 0 in the job's variables, or: git fetch --unshallow")
}

func isHash(text string) bool {
	if len(text) != 40 && len(text) != 64 {
		return false
	}
	return strings.Trim(text, "0123456789abcdef") == ""
}

// folder is the folder that was opened, as a pathspec.
func (r *Repo) folder() string {
	if r.prefix == "" {
		return "."
	}
	return ":(literal)" + strings.TrimSuffix(r.prefix, "/")
}

// names are the names in a list that git ended with NULs, from the folder on.
func (r *Repo) names(out []byte) []string {
	names := []string{}
	for name := range strings.SplitSeq(string(out), "\x00") {
		if rest, below := strings.CutPrefix(name, r.prefix); below && rest != "" {
			names = append(names, path.Clean(rest))
		}
	}
	return names
}
