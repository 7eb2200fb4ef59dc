package gitlog

import (
	"context"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/release"
)

// HistorySince is the component's history at one commit as it would be if the
// tag were its base: that tag alone, and the commits since. Both commits are
// given by their full hashes. The tags are those that Tags gave.
func (r *Repo) HistorySince(ctx context.Context, c release.Component, head string, base release.Tag) (release.History, error) {
	from := reader{git: r.git}
	c = r.rooted([]release.Component{c})[0]
	if r.shallow {
		_, s, unlock, err := r.fetched(ctx, []release.Component{c}, head)
		if err != nil {
			return release.History{}, err
		}
		defer unlock()
		from = reader{git: s.git, trees: s.trees}
	}
	commits, ok, err := from.since(ctx, c, head, base.Commit)
	if err != nil {
		return release.History{}, err
	}
	if !ok {
		return release.History{}, fault.Newf(fault.Usage, "changes since %s: it is not in the history of %.8s", base.Name, head).
			Hintf("name a version that the later one builds on")
	}
	h := release.History{Head: head, Commits: commits, Exact: true}
	if base.Commit != "" {
		base.Place = release.Ancestor
		h.Tags = []release.Tag{base}
	}
	return h, nil
}
