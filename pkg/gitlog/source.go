package gitlog

import (
	"context"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/release"
)

// source chooses the repository that can answer: the checkout itself where it
// is complete. A cut-off one is used only where the caller allows it; exact is
// false then.
func (r *Repo) source(_ context.Context, _ release.Component, _ string) (source reader, exact bool, err error) {
	if !r.shallow {
		return reader{r.git}, true, nil
	}
	if r.o.AllowShallow {
		return reader{r.git}, false, nil
	}
	return reader{}, false, fault.Newf(fault.Missing, "read history of %s: the clone is shallow", r.root).
		Hintf("set GIT_DEPTH: 0 on this job, or run: git fetch --unshallow --tags")
}
