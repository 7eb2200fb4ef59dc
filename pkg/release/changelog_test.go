package release_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/release"
)

func commit(hash, message string) release.Commit {
	return release.Commit{Hash: hash + "00000000000000", Message: message, Touches: true}
}

func TestChangelog(t *testing.T) {
	c := release.Component{Name: "m", Prefix: "v", Bumps: map[string]string{"build": "patch"}}
	h := release.History{
		Head: "head",
		Tags: []release.Tag{{Name: "v1.0.0", Commit: "base", Place: release.Ancestor}},
		Commits: []release.Commit{
			commit("a1", "feat(api)!: take a list\n\nBREAKING CHANGE: a single value is refused"),
			commit("a2", "feat: a *new* embedding"),
			commit("a3", "fix(io): close `files`"),
			commit("a4", "perf: faster"),
			commit("a5", "train: another seed"),
			commit("a6", "docs: more words"),
			commit("a7", "build: newer base"),
			commit("a8", `Revert "feat: old"`+"\n\nThis reverts commit 0123456789."),
			commit("a9", `Revert "feat: gone"`+"\n\nThis reverts commit aa00000000000000."),
			commit("aa", "feat: gone"),
			{Hash: "ab", Message: "feat: of another component"},
		},
	}
	result, err := release.Compute(c, h, release.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := "## 2.0.0\n" +
		"\n### Breaking changes\n\n- api: take a list — a single value is refused (a1000000)\n" +
		"\n### Features\n\n- a \\*new\\* embedding (a2000000)\n" +
		"\n### Fixes\n\n- io: close \\`files\\` (a3000000)\n" +
		"\n### Performance\n\n- faster (a4000000)\n" +
		"\n### Model\n\n- another seed (a5000000)\n" +
		"\n### Reverts\n\n- Revert \"feat: old\" (a8000000)\n" +
		"\n### Other changes\n\n- newer base (a7000000)\n"
	if diff := cmp.Diff(want, release.Changelog(result)); diff != "" {
		t.Errorf("Changelog (-want +got):\n%s", diff)
	}
}

func TestChangelogWithoutChanges(t *testing.T) {
	c := release.Component{Name: "m", Prefix: "v"}
	tags := []release.Tag{{Name: "v1.0.0", Commit: "base", Place: release.Here}}
	for _, tt := range []struct {
		name string
		h    release.History
		o    release.Options
		want string
	}{
		{"the first version", release.History{}, release.Options{}, "## 0.1.0\n\nThe first version.\n"},
		{"a retrain", release.History{Head: "base", Tags: tags}, release.Options{Retrain: true}, "## 1.0.1\n\nNo change of the code asked for this version.\n"},
		{"nothing", release.History{Head: "base", Tags: tags}, release.Options{}, "## 1.0.0\n\nNothing to release.\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			result, err := release.Compute(c, tt.h, tt.o)
			if got := release.Changelog(result); err != nil || got != tt.want {
				t.Errorf("Changelog = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}
