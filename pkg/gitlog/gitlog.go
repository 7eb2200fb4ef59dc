// Package gitlog reads commits and tags, through the git command.
//
// In come a folder, an explicit environment and a component; out goes the
// component's history as release takes it, complete or with an error. It also
// allocates versions, by pushing their tags. Reading never changes the
// checkout: what a shallow clone lacks is fetched into a bare repository beside
// it. Tokens appear in no argument, environment, file or log, and versions are
// computed elsewhere.
package gitlog

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/secret"
)

// Options are what the reader is given.
type Options struct {
	Environ      []string     // of this process, NAME=value; git is handed only what it needs of it
	Cache        string       // folder for fetched history; inside the git directory if ""
	Remote       string       // name of the remote; origin if ""
	URL          string       // of the remote, instead of what the name says
	User         string       // for the remote, with Token; gitlab-ci-token if ""
	Token        secret.Value // for the remote; credential helpers are asked if empty
	Host         string       // the only server that the token is for, without a port; the remote's, whichever it is, if ""
	AllowShallow bool         // answer from an incomplete history, and say that it is not exact
	Log          *slog.Logger // told what is fetched; nil for nobody
}

// Repo is a git repository with at least one commit, seen from one folder in it.
type Repo struct {
	o       Options
	git     git
	root    string // of the work tree, absolute
	prefix  string // of the folder inside the work tree, with a slash at its end, or ""
	gitDir  string // shared by all work trees, absolute
	head    string
	shallow bool
	origin  origin
}

// Open looks at the repository that dir lies in. Where there is none, or none
// with a commit, ok is false: that is a state, not an error.
func Open(ctx context.Context, dir string, o Options) (repo *Repo, ok bool, err error) {
	if o.Remote == "" {
		o.Remote = "origin"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, false, err
	}
	root, ok := workTree(dir)
	if !ok {
		return nil, false, nil
	}
	r := &Repo{o: o, git: newGit(dir, root, o.Environ)}
	early := &Repo{o: o, git: r.git, root: root}
	err = together(
		func() (err error) {
			ok, err = r.inspect(ctx)
			return err
		},
		func() error {
			_, _ = early.remote(ctx) // asked again if it failed
			return nil
		},
	)
	r.origin.found = early.origin.found
	if strings.Contains(gitStderr(err), "safe.directory") {
		// Some versions of git believe only the user's own configuration here.
		r.git, r.origin.found = r.git.withUserConfig(), nil
		ok, err = r.inspect(ctx)
	}
	if err != nil || !ok {
		return nil, false, err
	}
	return r, true, nil
}

// workTree is the nearest folder above dir that has a .git in it.
func workTree(dir string) (string, bool) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

// inspect asks git where everything is; not ok where there is no commit.
func (r *Repo) inspect(ctx context.Context) (bool, error) {
	out, err := r.git.output(ctx, "rev-parse", "--show-toplevel", "--git-common-dir", "--show-prefix",
		"--is-shallow-repository", "--verify", "--quiet", "HEAD^{commit}")
	lines := strings.Split(string(out), "\n")
	if exitCode(err) == 1 && len(lines) == 5 {
		return false, nil
	}
	if err != nil {
		return false, unreadable(r.git.dir, err)
	}
	if len(lines) != 6 {
		return false, fault.Newf(fault.Bug, "read repository %s: git rev-parse answered %d lines", r.git.dir, len(lines)-1)
	}
	r.root, r.gitDir, r.prefix = lines[0], lines[1], lines[2]
	if !filepath.IsAbs(r.gitDir) {
		r.gitDir = filepath.Join(r.git.dir, r.gitDir)
	}
	r.shallow, r.head = lines[3] == "true", lines[4]
	r.git.dir = r.root
	return true, nil
}

func unreadable(dir string, err error) error {
	if strings.Contains(gitStderr(err), "safe.directory") {
		return fault.Newf(fault.Denied, "read repository %s: it belongs to another user: %w", dir, err).
			Hintf("run: git config --global --add safe.directory %s", dir)
	}
	return readFault("read repository "+dir, err)
}

// Head is the full hash of the commit that is checked out.
func (r *Repo) Head() string { return r.head }

// CommitTime is when the commit that is checked out was made.
func (r *Repo) CommitTime(ctx context.Context) (time.Time, error) {
	out, err := r.git.output(ctx, "show", "--no-patch", "--format=%ct", r.head)
	if err != nil {
		return time.Time{}, readFault("read commit "+r.head, err)
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return time.Time{}, fault.Newf(fault.Bug, "read commit %s: found time %q: %w", r.head, out, err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// RemoteURL is the remote's address without credentials, or "" where there is none.
func (r *Repo) RemoteURL(ctx context.Context) (string, error) {
	remote, err := r.remote(ctx)
	return remote.url, err
}
