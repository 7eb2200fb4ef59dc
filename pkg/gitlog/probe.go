package gitlog

import (
	"context"
	"errors"
	"os/exec"
	"strconv"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// Depth counts the commits of the clone, and says whether it is shallow.
func (r *Repo) Depth(ctx context.Context) (commits int, shallow bool, err error) {
	out, err := r.git.output(ctx, "rev-list", "--count", r.head)
	if err != nil {
		return 0, r.shallow, readFault("count the commits of "+r.root, err)
	}
	commits, err = strconv.Atoi(strings.TrimSpace(string(out)))
	return commits, r.shallow, err
}

// Reach asks the remote whether its history may be read. Nothing is fetched.
func (r *Repo) Reach(ctx context.Context) error {
	return r.try(ctx, "read the history of", wholeHistory, "ls-remote", "--quiet")
}

// MayPush asks the remote whether a tag may be pushed to it, and pushes none.
// Whether a tag's name is protected the remote says only when one is pushed.
func (r *Repo) MayPush(ctx context.Context) error {
	return r.try(ctx, "push to", "let the token push", "push", "--dry-run", "--porcelain", "--no-verify")
}

// probeTag is the tag that MayPush does not push.
const probeTag = "refs/tags/towline-doctor"

// try runs a git command that only asks the remote.
func (r *Repo) try(ctx context.Context, doing, hint string, args ...string) error {
	to, err := r.remote(ctx)
	if err != nil {
		return err
	}
	if to.url == "" {
		return fault.Newf(fault.Missing, "%s the remote: there is none named %s", doing, r.o.Remote).Hintf("add it: git remote add %s URL", r.o.Remote)
	}
	g, done, err := r.git.withRemote(to)
	if err != nil {
		return err
	}
	defer done()
	what := "HEAD"
	if args[0] == "push" {
		what = r.head + ":" + probeTag
	}
	_, err = g.with("push.negotiate=false").output(ctx, append(args, to.url, what)...)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return readFault(doing+" "+to.url, err)
	case denied(err):
		return fault.Newf(fault.Denied, "%s %s: %w", doing, to.url, err).Hintf("%s", hint)
	}
	return fault.Newf(fault.Remote, "%s %s: %w", doing, to.url, err).Hintf("check that the remote can be reached: git ls-remote %s", to.url)
}
