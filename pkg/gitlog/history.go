package gitlog

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"

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
	hs, err := r.Histories(ctx, []release.Component{c}, head)
	if err != nil {
		return release.History{}, err
	}
	return hs[0], nil
}

// Histories is HistoryAt for several components, in their order.
func (r *Repo) Histories(ctx context.Context, components []release.Component, head string) ([]release.History, error) {
	components = r.rooted(components)
	complete, err := r.complete(ctx)
	if err != nil {
		return nil, err
	}
	if complete {
		return reader{git: r.git}.histories(ctx, components, head)
	}
	hs, _, unlock, err := r.fetched(ctx, components, head)
	if err == nil {
		unlock()
		return hs, nil
	}
	if !r.o.AllowShallow || ctx.Err() != nil {
		return nil, err
	}
	r.o.Log.Warn("the history is incomplete", "because", err)
	hs, err = reader{git: r.git}.histories(ctx, components, head)
	for i := range hs {
		hs[i].Exact = false
	}
	return hs, err
}

// complete says whether the checkout itself can answer: it is not cut off, and
// not set up to be fetched without tags or lists of files.
func (r *Repo) complete(ctx context.Context) (bool, error) {
	if r.shallow {
		return false, nil
	}
	from, err := r.remote(ctx)
	return !from.partly, err
}

// rooted are the components with paths relative to the top of the work tree.
func (r *Repo) rooted(components []release.Component) []release.Component {
	components = slices.Clone(components)
	for i, c := range components {
		c.Paths, c.Shared, c.Exclude = r.fromRoot(c.Paths), r.fromRoot(c.Shared), r.fromRoot(c.Exclude)
		if len(c.Paths) == 0 {
			c.Paths = []string{path.Join(".", r.prefix)}
		}
		components[i] = c
	}
	return components
}

func (r *Repo) fromRoot(paths []string) []string {
	var rooted []string
	for _, p := range paths {
		rooted = append(rooted, path.Join(r.prefix, p))
	}
	return rooted
}

// reader reads histories from one repository, which may be bare.
type reader struct {
	git   git
	trees func(ctx context.Context, hashes []string) error // fetches lists of files; nil where all are there
}

// histories reads the history of each component.
func (r reader) histories(ctx context.Context, components []release.Component, head string) ([]release.History, error) {
	hs := make([]release.History, len(components))
	var reads []func() error
	for i, c := range components {
		reads = append(reads, func() (err error) {
			hs[i], err = r.history(ctx, c, head)
			return err
		})
	}
	return hs, together(reads...)
}

func (r reader) history(ctx context.Context, c release.Component, head string) (release.History, error) {
	tags, err := r.tags(ctx, c.Prefix)
	if err != nil {
		return release.History{}, err
	}
	stable := c.StableTags(tags)
	base := ""
	if len(stable) > 0 {
		base = stable[0].Commit // most often it is
	}
	commits, ok, err := r.since(ctx, c, head, base)
	if err == nil && !ok {
		base, err = r.places(ctx, tags, stable, head)
		if err == nil {
			commits, _, err = r.since(ctx, c, head, base)
		}
	}
	place(tags, head, base)
	return release.History{Head: head, Tags: tags, Commits: commits, Exact: true}, err
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
			tag.Created, _ = strconv.ParseInt(fields[5], 10, 64) // none without a tagger
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

// place writes down where the tags of the base and of the commit itself stand.
func place(tags []release.Tag, head, base string) {
	for i := range tags {
		switch tags[i].Commit {
		case head:
			tags[i].Place = release.Here
		case base:
			tags[i].Place = release.Ancestor
		}
	}
}

// places finds out where the stable tags stand, where the highest of them is
// not in the history of head. It returns the commit of the highest that is, or "".
func (r reader) places(ctx context.Context, tags, stable []release.Tag, head string) (string, error) {
	tips := []string{head}
	for _, tag := range stable {
		tips = append(tips, tag.Commit)
	}
	out, err := r.git.pipe(ctx, strings.NewReader(strings.Join(tips, "\n")+"\n"), "rev-list", "--topo-order", "--parents", "--stdin")
	if err != nil {
		return "", missingHistory("read how commits follow each other", err)
	}
	ancestors, descendants := family(string(out), head)
	for i, tag := range tags {
		switch {
		case ancestors[tag.Commit]:
			tags[i].Place = release.Ancestor
		case descendants[tag.Commit]:
			tags[i].Place = release.Descendant
		}
	}
	for _, tag := range stable {
		if ancestors[tag.Commit] {
			return tag.Commit, nil
		}
	}
	return "", nil
}

// family reads lines of a commit and its parents, children first, and tells
// which commits head builds on, and which build on head. Head is in both.
func family(graph, head string) (ancestors, descendants map[string]bool) {
	ancestors, descendants = map[string]bool{head: true}, map[string]bool{head: true}
	var commits [][]string
	for line := range strings.Lines(graph) {
		commit := strings.Fields(line)
		commits = append(commits, commit)
		if !ancestors[commit[0]] {
			continue
		}
		for _, parent := range commit[1:] {
			ancestors[parent] = true
		}
	}
	for _, commit := range slices.Backward(commits) {
		for _, parent := range commit[1:] {
			if descendants[parent] {
				descendants[commit[0]] = true
			}
		}
	}
	return ancestors, descendants
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
