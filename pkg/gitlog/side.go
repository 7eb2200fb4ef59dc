package gitlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/release"
)

// side is a bare repository beside the checkout. It holds what a shallow clone
// lacks: all commits, the components' tags, and no file contents. It is kept
// from run to run, and made anew whenever something is wrong with it.
type side struct {
	dir      string
	remote   remote
	prefixes []string // of the tags
	filter   string   // what the server leaves out
	sha256   bool     // the repository's hashes are
	kept     bool     // an earlier run has made it
	git      git
}

// headRef is where the commit in question lies in a side repository.
const headRef = "refs/x/head"

// fetched are the histories as the remote knows them. The side repository
// stays locked until unlock is called.
func (r *Repo) fetched(ctx context.Context, components []release.Component, head string) (hs []release.History, s *side, unlock func(), err error) {
	s, err = r.side(ctx, components, head)
	if err != nil {
		return nil, nil, nil, err
	}
	unlock, err = s.lock(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	hs, err = s.read(ctx, r, components, head)
	if err != nil && s.kept && ctx.Err() == nil && !noAnswer(err) {
		// What was kept may be damaged: the remote decides.
		if err = os.RemoveAll(s.dir); err == nil {
			hs, err = s.read(ctx, r, components, head)
		}
	}
	if err != nil {
		unlock()
		return nil, nil, nil, err
	}
	return hs, s, unlock, nil
}

func (s *side) read(ctx context.Context, r *Repo, components []release.Component, head string) ([]release.History, error) {
	from, err := s.complete(ctx, r, head)
	if err != nil {
		return nil, err
	}
	return from.histories(ctx, components, head)
}

// side describes the side repository of the components. Which one it is
// follows from the remote and the components' tags.
func (r *Repo) side(ctx context.Context, components []release.Component, head string) (*side, error) {
	from, err := r.remote(ctx)
	if err != nil {
		return nil, err
	}
	if from.url == "" {
		return nil, fault.Newf(fault.Missing, "complete the history of %s: no remote %q to fetch it from", r.root, r.o.Remote).
			Hintf("clone with the whole history (GIT_DEPTH: 0), or add the remote")
	}
	s := &side{remote: from, filter: onlyCommits, sha256: len(head) == 64}
	for _, c := range components {
		if strings.ContainsAny(c.Prefix, " ~^:?*[\\\x7f\n\t") {
			return nil, fault.Newf(fault.Repository, "read the tags of %s: prefix %q is none that a tag can have", c.Name, c.Prefix)
		}
		s.prefixes = append(s.prefixes, c.Prefix)
	}
	slices.Sort(s.prefixes)
	cache := r.o.Cache
	if cache == "" {
		cache = filepath.Join(r.gitDir, "towline")
	}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{from.url}, s.prefixes...), "\x00")))
	s.dir = filepath.Join(cache, "history", hex.EncodeToString(sum[:12])+".git")
	s.git = r.git.with("safe.directory="+s.dir, "safe.bareRepository=all")
	s.git.dir = s.dir
	return s, nil
}

// lock keeps other processes of this machine away from the side repository.
func (s *side) lock(ctx context.Context) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(s.dir), 0o755); err != nil {
		return nil, fault.Newf(fault.Missing, "keep history: %w", err).Hintf("choose a folder that can be written with TOWLINE_CACHE")
	}
	lock := flock.New(s.dir + ".lock")
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return nil, fmt.Errorf("lock %s: %w", s.dir, err)
	}
	return func() { _ = lock.Close() }, nil
}

// packsMax is how many fetches a side repository takes in before it is made
// anew, in one piece.
const packsMax = 50

// complete brings the side repository up to date, and returns a reader of it
// that knows the commit in question.
func (s *side) complete(ctx context.Context, r *Repo, head string) (reader, error) {
	packs, err := filepath.Glob(filepath.Join(s.dir, "objects", "pack", "*.pack"))
	if err == nil && len(packs) > packsMax {
		err = os.RemoveAll(s.dir)
	}
	if err != nil {
		return reader{}, err
	}
	_, err = os.Stat(s.dir)
	s.kept = err == nil
	started := time.Now()
	from, err := s.update(ctx, r, head)
	if err != nil {
		return reader{}, incomplete(s.remote, err)
	}
	r.o.Log.Info("fetched history", "remote", s.remote.url, "filter", s.filter, "kept", s.kept, "took", time.Since(started).Round(time.Millisecond))
	return from, nil
}

// update fetches the commit by its hash. A commit that the remote does not
// have, or does not give by hash, is looked for in its branches, and taken
// from the checkout together with what leads to it from there.
func (s *side) update(ctx context.Context, r *Repo, head string) (reader, error) {
	if err := s.prepare(ctx); err != nil {
		return reader{}, err
	}
	from := reader{s.git, s.trees}
	err := s.fetch(ctx, "+"+head+":"+headRef)
	if err == nil {
		return from, nil
	}
	if !unknownCommit(gitStderr(err)) {
		return reader{}, err
	}
	if err := s.fetch(ctx, "+refs/heads/*:refs/x/heads/*"); err != nil {
		return reader{}, err
	}
	s.git.env = append(s.git.env[:len(s.git.env):len(s.git.env)],
		"GIT_ALTERNATE_OBJECT_DIRECTORIES="+filepath.Join(r.gitDir, "objects"))
	return reader{s.git, s.trees}, nil
}

// unknownCommit says whether a server complained that it does not give that commit.
func unknownCommit(complaint string) bool {
	for _, words := range []string{"not our ref", "unadvertised object", "couldn't find remote ref", "bad object"} {
		if strings.Contains(complaint, words) {
			return true
		}
	}
	return false
}

// prepare makes the repository if there is none. Its configuration is written
// anew each time, so that nothing in a kept folder can configure git.
func (s *side) prepare(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.dir, "HEAD")); err != nil {
		format := "sha1"
		if s.sha256 {
			format = "sha256"
		}
		g := s.git
		g.dir = filepath.Dir(s.dir)
		if _, err := g.output(ctx, "init", "--quiet", "--bare", "--template=", "--object-format="+format, s.dir); err != nil {
			return err
		}
	}
	for _, stray := range []string{"hooks", "shallow", "worktrees", "commondir", "info", "objects/info"} {
		if err := os.RemoveAll(filepath.Join(s.dir, stray)); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(s.dir, "config"), []byte(s.config()), 0o644)
}

// config is the repository's own configuration. It names the remote without
// credentials. That the remote has what is missing here is said only to a
// fetch: every other git would ask it for one object at a time.
func (s *side) config() string {
	version, format := 0, ""
	if s.sha256 {
		version, format = 1, "[extensions]\n\tobjectFormat = sha256\n"
	}
	return fmt.Sprintf("[core]\n\trepositoryformatversion = %d\n\tbare = true\n%s[remote \"origin\"]\n\turl = %s\n\ttagOpt = --no-tags\n",
		version, format, quoted(s.remote.url))
}

// quoted is a value as git's configuration files take it.
func quoted(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value) + `"`
}

// Filters: what a server leaves out of what it sends.
const (
	onlyCommits = "tree:0"
	noContents  = "blob:none"
)

// fetch brings the components' tags up to date, deleted ones included, and the
// given refs. It brings commits and no files; some servers cannot leave out
// the lists of files too.
func (s *side) fetch(ctx context.Context, refspecs ...string) error {
	for _, prefix := range s.prefixes {
		refspecs = append(refspecs, "+refs/tags/"+prefix+"*:refs/tags/"+prefix+"*")
	}
	err := s.fetchFiltered(ctx, nil, "--prune", refspecs...)
	if s.filter == onlyCommits && complains(err, "filter") {
		s.filter = noContents
		err = s.fetchFiltered(ctx, nil, "--prune", refspecs...)
	}
	return err
}

func (s *side) fetchFiltered(ctx context.Context, stdin io.Reader, option string, refspecs ...string) error {
	g, done, err := s.git.with("remote.origin.promisor=true", "remote.origin.partialclonefilter="+s.filter).withRemote(s.remote)
	if err != nil {
		return err
	}
	defer done()
	args := []string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
		"--filter=" + s.filter, option, "origin"}
	_, err = g.pipe(ctx, stdin, append(args, refspecs...)...)
	return err
}

// trees fetches the given lists of files, with all those below them, as far
// as they are not there.
func (s *side) trees(ctx context.Context, hashes []string) error {
	out, err := s.git.pipe(ctx, strings.NewReader(strings.Join(hashes, "\n")+"\n"), "cat-file", "--batch-check")
	if err != nil {
		return readFault("look for the files of commits", err)
	}
	var missing []string
	for line := range strings.Lines(string(out)) {
		if hash, ok := strings.CutSuffix(strings.TrimSpace(line), " missing"); ok {
			missing = append(missing, hash)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	// With the commits, the remote would believe the files to be here too.
	asking := *s
	asking.filter = noContents
	asking.git = s.git.with("fetch.negotiationAlgorithm=noop")
	if err := asking.fetchFiltered(ctx, strings.NewReader(strings.Join(missing, "\n")+"\n"), "--stdin"); err != nil {
		return incomplete(s.remote, err)
	}
	return nil
}

// noAnswer says whether an error has its cause in the network or in the
// credentials, and not in the repository that was kept.
func noAnswer(err error) bool {
	return errors.Is(err, context.Canceled) || denied(err) || redirected(err) || unreachable(err)
}
