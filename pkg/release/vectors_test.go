package release_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/release"
)

// read reads one of the files of vectors that need no repository.
func read(t testing.TB, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestTagGrammar(t *testing.T) {
	var vectors []struct {
		Tag, Prefix string
		Version     *string
	}
	read(t, "tags", &vectors)
	for _, v := range vectors {
		got, ok := release.Component{Prefix: v.Prefix}.VersionOf(v.Tag)
		want := ""
		if v.Version != nil {
			want = *v.Version
		}
		if got != want || ok != (v.Version != nil) {
			t.Errorf("VersionOf(%q) with prefix %q = %q, %v, want %q", v.Tag, v.Prefix, got, ok, want)
		}
	}
}

func TestOrderOfVersions(t *testing.T) {
	var versions []string
	read(t, "order", &versions)
	for i, a := range versions {
		for j, b := range versions {
			got, want := release.Compare(a, b), i-j
			if (got < 0) != (want < 0) || (got > 0) != (want > 0) {
				t.Errorf("Compare(%s, %s) = %d, want the sign of %d", a, b, got, want)
			}
		}
	}
}

func TestNames(t *testing.T) {
	var vectors []struct {
		Kind string
		Args []string
		Name string
	}
	read(t, "names", &vectors)
	for _, v := range vectors {
		got, err := named(v.Kind, v.Args)
		if err != nil || got != v.Name {
			t.Errorf("%s name of %q = %q, %v, want %q", v.Kind, v.Args, got, err, v.Name)
		}
	}
}

func named(kind string, args []string) (string, error) {
	switch kind {
	case "sagemaker":
		return release.SageMakerName(args...), nil
	case "oci":
		return release.OCITag(args[0]), nil
	case "pep440":
		return release.PEP440(args[0])
	case "gitlab":
		return release.GitLabVersion(args[0])
	}
	return release.AirflowRunID(args[0], args[1:]...)
}

func TestSignatures(t *testing.T) {
	var vectors []struct {
		Name     string
		From, To release.Signature
		Bump     release.Bump
	}
	read(t, "signatures", &vectors)
	for _, v := range vectors {
		got, why := v.From.Change(v.To)
		if got != v.Bump || (got == release.None) != (len(why) == 0) {
			t.Errorf("%s: Change = %v, %q, want %v", v.Name, got, why, v.Bump)
		}
	}
}

func TestComponentsThatTakeEachOthersNames(t *testing.T) {
	var vectors []struct {
		Name       string
		Components []release.Component
		Problems   []string
	}
	read(t, "components", &vectors)
	for _, v := range vectors {
		err := release.CheckComponents(v.Components)
		got := fault.DetailsOf(err)
		if len(got) != len(v.Problems) || err != nil && fault.KindOf(err) != fault.Repository {
			t.Errorf("%s: CheckComponents = %v, %q, want %q", v.Name, err, got, v.Problems)
			continue
		}
		for _, want := range v.Problems {
			if !strings.Contains(strings.Join(got, "\n"), want) {
				t.Errorf("%s: problems = %q, want %q among them", v.Name, got, want)
			}
		}
	}
}

func TestATagInTheWayOfAComponents(t *testing.T) {
	c := release.Component{Name: "vision", Prefix: "vision/v"}
	if err := release.CheckTags(c, []release.Tag{{Name: "visions"}, {Name: "vision/v1.0.0"}, {Name: "other"}}); err != nil {
		t.Errorf("CheckTags = %v, want none in the way", err)
	}
	err := release.CheckTags(c, []release.Tag{{Name: "vision"}})
	if fault.KindOf(err) != fault.Repository || !strings.Contains(err.Error(), `"vision"`) {
		t.Errorf("CheckTags = %v, want the tag vision to be in the way", err)
	}
}

func TestMovingTags(t *testing.T) {
	var vectors []struct {
		Version string
		Tags    []string
		Moving  []string
	}
	read(t, "moving-tags", &vectors)
	for _, v := range vectors {
		var tags []release.Tag
		for _, name := range v.Tags {
			tags = append(tags, release.Tag{Name: name})
		}
		got := append([]string{}, release.MovingTags(release.Component{Prefix: "v"}, v.Version, tags)...)
		if diff := cmp.Diff(v.Moving, got); diff != "" {
			t.Errorf("MovingTags(%s) among %q (-want +got):\n%s", v.Version, v.Tags, diff)
		}
	}
}
