package gitlog

import (
	"context"

	"gitlab.com/towline/towline/pkg/release"
)

// HistorySince is the component's history at a commit, given by its full hash,
// as it would be if one of the tags were its base: the first that is in the
// history of the commit. It has that tag alone, and the commits since; without
// such a tag it has none, and the commits that matter before a first version.
func (r *Repo) HistorySince(ctx context.Context, c release.Component, head string, bases []release.Tag) (release.History, error) {
	from := reader{git: r.git}
	c = r.rooted([]release.Component{c})[0]
	complete, err := r.complete(ctx)
	if err != nil {
		return release.History{}, err
	}
	if !complete {
		_, s, unlock, err := r.fetched(ctx, []release.Component{c}, head)
		if err != nil {
			return release.History{}, err
		}
		defer unlock()
		from = reader{git: s.git, trees: s.trees}
	}
	h := release.History{Head: head, Exact: true}
	for _, base := range append(bases[:len(bases):len(bases)], release.Tag{}) {
		commits, ok, err := from.since(ctx, c, head, base.Commit)
		if err != nil {
			return release.History{}, err
		}
		if !ok {
			continue
		}
		if h.Commits = commits; base.Commit != "" {
			base.Place = release.Ancestor
			h.Tags = []release.Tag{base}
		}
		break
	}
	return h, nil
}
