package gitlog

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/release"
)

// History is the component's tags, and the commits since its base, at the
// commit that is checked out. The component's paths are relative to the folder
// that was opened.
func (r *Repo) History(ctx context.Context, c release.Component) (release.History, error) {
	return r.HistoryAt(ctx, c, r.head)
}

// HistoryAt is History at another commit, given by its full hash.
func (r *Repo) HistoryAt(ctx context.Context, c release.Component, head string) (release.History, error) {
	c = r.rooted(c)
	source, exact, err := r.source(ctx, c, head)
	if err != nil {
		return release.History{}, err
	}
	h, err := source.history(ctx, c, head)
	h.Exact = exact
	return h, err
}

// rooted is the component with paths relative to the top of the work tree.
func (r *Repo) rooted(c release.Component) release.Component {
	c.Paths, c.Shared, c.Exclude = r.fromRoot(c.Paths), r.fromRoot(c.Shared), r.fromRoot(c.Exclude)
	if len(c.Paths) == 0 {
		c.Paths = []string{path.Join(".", r.prefix)}
	}
	return c
}

func (r *Repo) fromRoot(paths []string) []string {
	var rooted []string
	for _, p := range paths {
		rooted = append(rooted, path.Join(r.prefix, p))
	}
	return rooted
}

// reader reads histories from one repository, which may be bare.
type reader struct{ git git }

func (r reader) history(ctx context.Context, c release.Component, head string) (release.History, error) {
	tags, err := r.tags(ctx, c.Prefix)
	if err != nil {
		return release.History{}, err
	}
	base, err := r.places(ctx, c, tags, head)
	if err != nil {
		return release.History{}, err
	}
	commits, err := r.commits(ctx, c, head, base)
	return release.History{Head: head, Tags: tags, Commits: commits}, err
}

// tagFields are what is read of a tag. A lightweight one has no fields of its own.
const tagFields = "%(refname)%00%(objecttype)%00%(objectname)%00%(*objecttype)%00%(*objectname)%00" +
	"%(taggerdate:unix)%00%(if:equals=tag)%(objecttype)%(then)%(contents)%(end)%00"

func (r reader) tags(ctx context.Context, prefix string) ([]release.Tag, error) {
	out, err := r.git.output(ctx, "for-each-ref", "--format="+tagFields, "refs/tags/"+globLiteral(prefix)+"*")
	if err != nil {
		return nil, readFault("read tags", err)
	}
	fields := strings.Split(string(out), "\x00")
	var tags []release.Tag
	for ; len(fields) >= 7; fields = fields[7:] {
		tag := release.Tag{Name: strings.TrimPrefix(strings.TrimPrefix(fields[0], "\n"), "refs/tags/")}
		kind := fields[1]
		tag.Commit = fields[2]
		if kind == "tag" {
			tag.Annotated, tag.Message = true, fields[6]
			tag.Created, _ = strconv.ParseInt(fields[5], 10, 64) //nolint:errcheck // a tag without a tagger has no date
			kind, tag.Commit = fields[3], fields[4]
		}
		if kind == "tag" {
			if tag.Commit, err = r.peel(ctx, tag.Name); err != nil {
				return nil, err
			}
			kind = "commit"
		}
		if kind == "commit" && tag.Commit != "" {
			tags = append(tags, tag)
		}
	}
	return tags, nil
}

// peel is the commit that a tag of a tag marks in the end, or "".
func (r reader) peel(ctx context.Context, tag string) (string, error) {
	out, err := r.git.output(ctx, "rev-parse", "--verify", "--quiet", "refs/tags/"+tag+"^{commit}")
	if exitCode(err) == 1 {
		return "", nil
	}
	if err != nil {
		return "", readFault("read tag "+tag, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// places finds out where the tags stand, as far as it matters: those after the
// base, and those on the commit itself. It returns the base's commit, or "".
func (r reader) places(ctx context.Context, c release.Component, tags []release.Tag, head string) (string, error) {
	for i := range tags {
		if tags[i].Commit == head {
			tags[i].Place = release.Here
		}
	}
	stable := c.StableTags(tags)
	if len(stable) == 0 {
		return "", nil
	}
	if stable[0].Place == release.Here {
		return head, nil
	}
	ancestor, err := r.isAncestor(ctx, stable[0].Commit, head)
	if err != nil {
		return "", err
	}
	if ancestor {
		place(tags, stable[:1], release.Ancestor)
		return stable[0].Commit, nil
	}
	return r.placesOnBranches(ctx, c, tags, head)
}

// placesOnBranches is places where the highest version is on another branch,
// or on a later commit.
func (r reader) placesOnBranches(ctx context.Context, c release.Component, tags []release.Tag, head string) (string, error) {
	pattern := "refs/tags/" + globLiteral(c.Prefix) + "*"
	for _, ask := range []struct {
		option string
		place  release.Place
	}{{"--merged=", release.Ancestor}, {"--contains=", release.Descendant}} {
		out, err := r.git.output(ctx, "for-each-ref", "--format=%(refname)", ask.option+head, pattern)
		if err != nil {
			return "", readFault("read tags", err)
		}
		var named []release.Tag
		for name := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
			named = append(named, release.Tag{Name: strings.TrimPrefix(name, "refs/tags/")})
		}
		place(tags, named, ask.place)
	}
	for _, tag := range c.StableTags(tags) {
		if tag.Place == release.Here || tag.Place == release.Ancestor {
			return tag.Commit, nil
		}
	}
	return "", nil
}

// place writes down where the named tags stand, unless it is on the commit itself.
func place(tags, named []release.Tag, p release.Place) {
	names := map[string]bool{}
	for _, tag := range named {
		names[tag.Name] = true
	}
	for i := range tags {
		if names[tags[i].Name] && tags[i].Place != release.Here {
			tags[i].Place = p
		}
	}
}

func (r reader) isAncestor(ctx context.Context, commit, of string) (bool, error) {
	_, err := r.git.output(ctx, "merge-base", "--is-ancestor", commit, of)
	if exitCode(err) == 1 {
		return false, nil
	}
	if err != nil {
		return false, missingHistory("compare commits "+commit+" and "+of, err)
	}
	return true, nil
}

func missingHistory(operation string, err error) error {
	if exitCode(err) == 0 {
		return readFault(operation, err)
	}
	return fault.Newf(fault.Missing, "%s: %w", operation, err).
		Hintf("fetch the whole history: set GIT_DEPTH: 0 on this job, or run: git fetch --unshallow --tags")
}

// globLiteral protects the characters of a prefix that a pattern would take as wildcards.
func globLiteral(prefix string) string {
	var b strings.Builder
	for _, r := range prefix {
		if slices.Contains([]rune(`*?[\`), r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
