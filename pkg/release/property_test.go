package release_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/release"
)

// versions draws versions of every kind that Towline makes.
func versions(r *rand.Rand, n int) []string {
	seen := map[string]bool{}
	for len(seen) < n {
		core := fmt.Sprintf("%d.%d.%d", r.IntN(4), r.IntN(12), r.IntN(12))
		pipeline := fmt.Sprint(r.IntN(2000))
		switch r.IntN(6) {
		case 0:
			seen[core] = true
		case 1:
			seen[fmt.Sprintf("%s-rc.%d", core, 1+r.IntN(12))] = true
		case 2:
			seen[release.Candidate(core, pipeline, "")] = true
		case 3:
			seen[release.Candidate(core, "", fmt.Sprintf("%064x", r.Uint64()))] = true
			seen[release.Candidate(core, "", fmt.Sprintf("%016x", r.Uint64()))] = true
		case 4:
			seen[release.PreviewVersion(core, release.Preview{MergeRequest: fmt.Sprint(r.IntN(30)), Pipeline: pipeline})] = true
		case 5:
			branch := strings.Join([]string{words[r.IntN(len(words))], words[r.IntN(len(words))]}, "-")
			seen[release.PreviewVersion(core, release.Preview{Branch: branch, Pipeline: pipeline})] = true
		}
	}
	list := make([]string, 0, n)
	for v := range seen {
		list = append(list, v)
	}
	return list
}

var words = []string{"mr", "rc", "dev", "cand", "feature", "12", "007", "b", "x", "new"}

func TestEveryNameIsUniqueAndLeadsBack(t *testing.T) {
	list := versions(rand.New(rand.NewPCG(1, 2)), 2000)
	mappings := []struct {
		name string
		to   func(string) (string, error)
		back func(string) (string, bool)
	}{
		{"image tag", func(v string) (string, error) { return release.OCITag(v), nil }, release.FromOCITag},
		{"Python version", release.PEP440, release.FromPEP440},
		{"SageMaker name", func(v string) (string, error) { return release.SageMakerName(v), nil }, release.FromSageMakerVersion},
	}
	for _, m := range mappings {
		taken := map[string]string{}
		for _, v := range list {
			name, err := m.to(v)
			if err != nil {
				t.Errorf("%s of %s: %v", m.name, v, err)
				continue
			}
			if other, ok := taken[name]; ok {
				t.Errorf("%s of %s and of %s is %s", m.name, v, other, name)
			}
			taken[name] = v
			if got, ok := m.back(name); !ok || got != v {
				t.Errorf("%s of %s is %s, which leads back to %q, %v", m.name, v, name, got, ok)
			}
		}
	}
}

func TestCutNamesStayApart(t *testing.T) {
	taken := map[string]string{}
	for i := range 3000 {
		long := strings.Repeat("model-", 12) + fmt.Sprint(i)
		for _, name := range []string{release.SageMakerName(long), release.SageMakerNameMax(24, long)} {
			if other, ok := taken[name]; ok {
				t.Errorf("%s and %s are both %s", long, other, name)
			}
			taken[name] = long
		}
	}
}

func TestTheOrderOfVersionsIsTheOrderOfTags(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var stable []string
	for range 500 {
		stable = append(stable, fmt.Sprintf("%d.%d.%d", r.IntN(20), r.IntN(200), r.IntN(20)))
	}
	slices.SortFunc(stable, release.Compare)
	stable = slices.Compact(stable)
	c := release.Component{Name: "m", Prefix: "m/v"}
	var tags []release.Tag
	for _, i := range r.Perm(len(stable)) {
		tags = append(tags, release.Tag{Name: c.TagName(stable[i])})
	}
	for i, tag := range c.StableTags(tags) {
		if want := c.TagName(stable[len(stable)-1-i]); tag.Name != want {
			t.Fatalf("tag %d from above is %s, want %s", i, tag.Name, want)
		}
	}
}

// Whatever the commits, a release comes after its base, and its previews
// between the two.
func TestAReleaseComesAfterItsBase(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	messages := []string{"feat: x", "fix: x", "feat!: x", "docs: x", "data: x", "no convention"}
	for range 500 {
		base := fmt.Sprintf("%d.%d.%d", r.IntN(3), r.IntN(5), r.IntN(5))
		h := release.History{Head: "head", Tags: []release.Tag{{Name: "v" + base, Commit: "base", Place: release.Ancestor}}}
		for i := range r.IntN(4) {
			h.Commits = append(h.Commits, release.Commit{Hash: fmt.Sprint("c", i), Message: messages[r.IntN(len(messages))], Touches: true})
		}
		got, err := release.Compute(release.Component{Name: "m", Prefix: "v"}, h, release.Options{Retrain: r.IntN(4) == 0})
		if err != nil {
			t.Fatal(err)
		}
		if order := release.Compare(got.Version, base); got.Released && order <= 0 || !got.Released && order != 0 {
			t.Errorf("base %s, commits %v: version %s, released %v", base, h.Commits, got.Version, got.Released)
		}
		candidate := release.Candidate(got.Next, "7", "")
		if release.Compare(base, candidate) >= 0 || release.Compare(candidate, got.Next) >= 0 {
			t.Errorf("candidate %s is not between %s and %s", candidate, base, got.Next)
		}
	}
}
