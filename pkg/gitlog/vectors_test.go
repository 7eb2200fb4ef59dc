package gitlog_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlog"
	"gitlab.com/towline/towline/pkg/internal/gittest"
	"gitlab.com/towline/towline/pkg/release"
)

// vector is one case of pkg/release/testdata/vectors, which its README explains.
type vector struct {
	Name       string              `json:"name"`
	Repository gittest.Repo        `json:"repository"`
	Component  release.Component   `json:"component"`
	Linked     []release.Component `json:"linked"`
	At         string              `json:"at"`
	Options    release.Options     `json:"options"`
	Preview    *release.Preview    `json:"preview"`
	Candidate  *struct {
		IID      string `json:"iid"`
		Identity string `json:"identity"`
	} `json:"candidate"`
	Want  map[string]any `json:"want"`
	Error *struct {
		Exit     int    `json:"exit"`
		Contains string `json:"contains"`
	} `json:"error"`
}

// cutOff are the rules whose vectors are also asked of a clone without history.
// Those of the others differ in messages and questions alone.
var cutOff = []string{"rule-01", "rule-02", "rule-03", "rule-05", "rule-06", "rule-08", "rule-13", "rule-16", "rule-22"}

func TestVectors(t *testing.T) {
	files, err := filepath.Glob("../release/testdata/vectors/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		for _, v := range vectors(t, file) {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json")+"/"+v.Name, func(t *testing.T) {
				t.Parallel()
				dir, ids := gittest.Plain(t, v.Repository)
				at := ids[v.Repository.Commits[len(v.Repository.Commits)-1].ID]
				if v.At != "" {
					at = ids[v.At]
				}
				v.check(t, dir, at, "complete clone")
				if !slices.Contains(cutOff, strings.TrimSuffix(filepath.Base(file), ".json")) {
					return
				}
				shallow := gittest.CloneOf(t, dir, "--depth=1", "--no-tags", "--no-checkout")
				v.check(t, shallow, at, "clone of depth 1")
			})
		}
	}
}

func vectors(t *testing.T, file string) []vector {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&list); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return list
}

func (v vector) check(t *testing.T, dir, at, kind string) {
	t.Helper()
	repo := open(t, dir, gitlog.Options{})
	got, err := v.answer(t, repo, at)
	if v.Error != nil {
		if err == nil || int(fault.KindOf(err)) != v.Error.Exit || !strings.Contains(err.Error(), v.Error.Contains) {
			t.Errorf("%s: error = %v (exit %d), want exit %d with %q", kind, err, fault.KindOf(err), v.Error.Exit, v.Error.Contains)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s: %v (%s)", kind, err, fault.HintOf(err))
	}
	for key, want := range v.Want {
		if diff := cmp.Diff(want, got[key]); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s\nreasons: %v", kind, key, diff, got["reason"])
		}
	}
}

// answer is the result as JSON has it, with the names that the vector asks for.
func (v vector) answer(t *testing.T, repo *gitlog.Repo, at string) (map[string]any, error) {
	t.Helper()
	components := append([]release.Component{v.Component}, v.Linked...)
	var histories []release.History
	for _, c := range components {
		h, err := repo.HistoryAt(t.Context(), c, at)
		if err != nil {
			return nil, err
		}
		histories = append(histories, h)
	}
	results, err := release.ComputeLinked(components, histories, v.Options)
	if err != nil {
		return nil, err
	}
	if alone, err := release.Compute(v.Component, histories[0], v.Options); len(v.Linked) == 0 && cmp.Diff(alone, results[0]) != "" {
		t.Errorf("Compute = %+v, %v, and ComputeLinked = %+v", alone, err, results[0])
	}
	text, err := json.Marshal(results[0])
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{"base": ""}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	got["warnings"] = float64(len(results[0].Warnings))
	if v.Preview != nil {
		got["preview"] = release.PreviewVersion(results[0].Next, *v.Preview)
	}
	if v.Candidate != nil {
		got["candidate"] = release.Candidate(results[0].Next, v.Candidate.IID, v.Candidate.Identity)
	}
	linked := map[string]any{}
	for _, r := range results {
		linked[r.Component] = r.Version
	}
	got["linked"] = linked
	return got, nil
}

// open opens a repository that has a commit.
func open(t *testing.T, dir string, o gitlog.Options) *gitlog.Repo {
	t.Helper()
	if o.Environ == nil {
		o.Environ = gittest.Environ()
	}
	repo, ok, err := gitlog.Open(t.Context(), dir, o)
	if err != nil || !ok {
		t.Fatalf("Open(%s) = %v, %v", dir, ok, err)
	}
	return repo
}
