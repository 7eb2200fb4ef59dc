package lint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/lint"
)

func repository(files map[string]string) fstest.MapFS {
	return exampleFS(lint.Example{Files: files}).MapFS
}

// marks is a rule that finds the word MARK, at each place where it stands.
func marks() lint.Rule {
	return lint.Rule{
		ID: "TL999", Name: "mark-found", Severity: lint.Major, In: map[lint.Profile]lint.Severity{lint.Prototype: lint.Off},
		Advice: "take it out",
		File: func(f *lint.File, r *lint.Report) {
			for i, line := range f.Lines() {
				if at := strings.Index(line, "MARK"); at >= 0 {
					r.At(f, i+1, at+1, "found a mark")
				}
			}
		},
	}
}

func runOn(t *testing.T, o lint.Options) lint.Result {
	t.Helper()
	if o.Profile == "" {
		o.Profile = lint.Team
	}
	if o.Rules == nil {
		o.Rules = append(slices.DeleteFunc(lint.Catalogue(), func(r lint.Rule) bool { return !strings.HasPrefix(r.ID, "TL9") }), marks())
	}
	result, err := lint.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func list(result lint.Result) []string {
	var places []string
	for _, f := range result.Findings {
		places = append(places, fmt.Sprintf("%s %s %s", f.Place(), f.Rule, f.Severity))
	}
	return places
}

func TestIgnoresSilenceWhatTheyName(t *testing.T) {
	for _, tt := range []struct {
		name, file, text string
		want             []string
	}{
		{"on the same line", "a.py", "MARK  # towline: ignore TL999 a reason\n", nil},
		{"on the line before", "a.py", "# towline: ignore TL999 a reason\nMARK\n", nil},
		{"on the line before an empty one", "a.py", "# towline: ignore TL999 a reason\n\nMARK\n", nil},
		{"above another comment of that kind", "a.py", "# towline: ignore TL999 a reason\n# towline: ignore TL901 b\nMARK\n", []string{"a.py:2 TL908 minor"}},
		{"for the whole file", "a.py", "MARK\n\n# towline: ignore-file TL999 a reason\nMARK\n", nil},
		{"several rules at once", "a.py", "MARK  # towline: ignore TL901, TL999 a reason\n", []string{"a.py:1 TL908 minor"}},
		{"in a language with slashes", "a.js", "MARK // towline: ignore TL999 a reason\n", nil},
		{"in a language with brackets", "a.md", "MARK <!-- towline: ignore TL999 a reason -->\n", nil},
		{"in SQL", "a.sql", "MARK -- towline: ignore TL999 a reason\n", nil},
		{"without a reason", "a.py", "MARK  # towline: ignore TL999\n", []string{"a.py:1 TL907 major", "a.py:1:1 TL999 major"}},
		{"with a dash for a reason", "a.py", "MARK  # towline: ignore TL999 --\n", []string{"a.py:1 TL907 major", "a.py:1:1 TL999 major"}},
		{"without a rule", "a.py", "MARK  # towline: ignore everything\n", []string{"a.py:1 TL907 major", "a.py:1:1 TL999 major"}},
		{"a rule that there is not", "a.py", "MARK  # towline: ignore TL199 a reason\n", []string{"a.py:1 TL907 major", "a.py:1:1 TL999 major"}},
		{"another line", "a.py", "MARK\nx = 1  # towline: ignore TL999 a reason\n", []string{"a.py:1:1 TL999 major", "a.py:2 TL908 minor"}},
		{"a rule of a tool that did not run", "a.py", "x = 1  # towline: ignore pylint:no-member a reason\n", nil},
		{"not a comment", "a.py", "x = \"towline: ignore\"\nMARK\n", []string{"a.py:2:1 TL999 major"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			result := runOn(t, lint.Options{FS: repository(map[string]string{tt.file: tt.text})})
			if diff := cmp.Diff(tt.want, list(result)); diff != "" {
				t.Errorf("findings of %q (-want +got):\n%s", tt.text, diff)
			}
		})
	}
}

func TestFingerprintsStayWhenLinesMove(t *testing.T) {
	prints := func(text string) []string {
		var all []string
		for _, f := range runOn(t, lint.Options{FS: repository(map[string]string{"a.py": text})}).Findings {
			all = append(all, f.Fingerprint)
		}
		return all
	}
	before := prints("MARK one\nMARK two\nMARK one\n")
	after := prints("new\n\n  MARK   one\nnew\nMARK two\nMARK one\n")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("fingerprints after lines were put in (-want +got):\n%s", diff)
	}
	if before[0] == before[2] || before[0] == before[1] {
		t.Errorf("fingerprints %v, want all to differ", before)
	}
}

func TestABaselineKnowsWhatWasThere(t *testing.T) {
	old := runOn(t, lint.Options{FS: repository(map[string]string{"a.py": "MARK one\nMARK two\n"})})
	text, err := lint.NewBaseline(old.Findings).Encode()
	if err != nil {
		t.Fatal(err)
	}
	baseline, err := lint.ParseBaseline(text)
	if err != nil {
		t.Fatal(err)
	}
	files := repository(map[string]string{"a.py": "\nMARK two\nMARK three\n", lint.BaselineFile: string(text)})
	result := runOn(t, lint.Options{FS: files, Baseline: baseline})
	want := []string{lint.BaselineFile + " TL909 minor", "a.py:3:1 TL999 major"}
	if diff := cmp.Diff(want, list(result)); diff != "" || result.Known != 1 {
		t.Errorf("known %d, findings (-want +got):\n%s", result.Known, diff)
	}
	elsewhere := runOn(t, lint.Options{FS: files, Baseline: baseline, Only: []string{"b.py"}})
	if len(elsewhere.Findings) > 0 {
		t.Errorf("in another file %v is stale, want it not to be known", list(elsewhere))
	}
}

func TestSettingsOfTheManifest(t *testing.T) {
	files := repository(map[string]string{"a.py": "MARK\n", "gen/b.py": "MARK\n", "lib/gen/c.py": "MARK\n"})
	for _, tt := range []struct {
		name string
		set  lint.Settings
		want []string
	}{
		{"nothing", lint.Settings{}, []string{"a.py:1:1 TL999 major", "gen/b.py:1:1 TL999 major", "lib/gen/c.py:1:1 TL999 major"}},
		{"a severity", lint.Settings{Severity: map[string]lint.Severity{"TL999": lint.Info}, Exclude: []string{"gen"}}, []string{"a.py:1:1 TL999 info"}},
		{"off", lint.Settings{Severity: map[string]lint.Severity{"TL999": lint.Off}}, nil},
		{"a folder at the top", lint.Settings{Exclude: []string{"/gen/"}}, []string{"a.py:1:1 TL999 major", "lib/gen/c.py:1:1 TL999 major"}},
		{"a pattern for one rule", lint.Settings{Paths: map[string][]string{"TL999": {"*.py", "!a.py"}}}, []string{"a.py:1:1 TL999 major"}},
		{"a pattern for another rule", lint.Settings{Paths: map[string][]string{"TL901": {"*.py"}}, Exclude: []string{"gen/"}}, []string{"a.py:1:1 TL999 major"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, list(runOn(t, lint.Options{FS: files, Settings: tt.set}))); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
	if got := runOn(t, lint.Options{FS: files, Profile: lint.Prototype}); len(got.Findings) > 0 {
		t.Errorf("in the profile prototype, where the rule is off: %v", list(got))
	}
}

func TestIgnoreFilesSpeakWhereGitDoesNot(t *testing.T) {
	files := repository(map[string]string{
		".gitignore":     "# data\n*.csv\n!keep.csv\nbuild/\n/top.py\nlib/**/gen.py\ntrailing.py   \n\\#odd\n",
		".towlineignore": "notes\n",
		"a.csv":          "MARK", "keep.csv": "MARK", "build/x.py": "MARK", "top.py": "MARK", "sub/top.py": "MARK", "lib/a/b/gen.py": "MARK",
		"trailing.py": "MARK", "notes/n.py": "MARK", "sub/.gitignore": "*.txt\n!/keep.csv\n", "sub/a.txt": "MARK", "a.txt": "MARK",
		"sub/deep/build": "MARK", ".towline/x.py": "MARK", "sub/.git/config": "MARK",
	})
	var got []string
	for _, f := range runOn(t, lint.Options{FS: files}).Findings {
		got = append(got, f.Path)
	}
	want := []string{"a.txt", "keep.csv", "sub/deep/build", "sub/top.py"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files that were looked at (-want +got):\n%s", diff)
	}
	listed := runOn(t, lint.Options{FS: files, Listed: []string{"a.csv", "gone.py", "../x", ".towline/x.py", "sub"}})
	if diff := cmp.Diff([]string{"a.csv:1:1 TL999 major"}, list(listed)); diff != "" {
		t.Errorf("files that git lists (-want +got):\n%s", diff)
	}
}

func TestProfilesAreDetected(t *testing.T) {
	manifest := "apiVersion: towline/v1\nproject: shop\nmodels:\n  - {name: demand, train: {command: [python, train.py]}}\n"
	environment := "environments:\n  %s:\n    {region: eu-west-1, execution_role: 'arn:aws:iam::123456789012:role/s', bucket: bucket-a, registry: r.example.com}\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  lint.Profile
	}{
		{"no manifest and no pipeline", map[string]string{"a.py": ""}, lint.Prototype},
		{"a manifest without environments", map[string]string{"towline.yaml": manifest}, lint.Prototype},
		{"a manifest that is not valid", map[string]string{"towline.yaml": "x"}, lint.Prototype},
		{"a pipeline", map[string]string{".gitlab-ci.yml": ""}, lint.Team},
		{"an environment", map[string]string{"towline.yaml": manifest + fmt.Sprintf(environment, "dev")}, lint.Team},
		{"an environment for production", map[string]string{"towline.yaml": manifest + fmt.Sprintf(environment, "eu-prod")}, lint.Production},
		{"an environment that only sounds like it", map[string]string{"towline.yaml": manifest + fmt.Sprintf(environment, "products")}, lint.Team},
	} {
		t.Run(tt.name, func(t *testing.T) {
			result, err := lint.Run(t.Context(), lint.Options{FS: repository(tt.files), Rules: []lint.Rule{marks()}})
			if err != nil || result.Profile != tt.want || result.Why == "" {
				t.Errorf("Run: profile %q because %q, %v, want %q", result.Profile, result.Why, err, tt.want)
			}
		})
	}
}

func TestARuleThatBreaksDownIsAnErrorAndTakesNothingElseWithIt(t *testing.T) {
	broken := lint.Rule{ID: "TL998", Name: "breaks-down", Severity: lint.Minor, File: func(*lint.File, *lint.Report) { panic("no idea") }}
	result, err := lint.Run(t.Context(), lint.Options{
		FS: repository(map[string]string{"a.py": "MARK\n"}), Profile: lint.Team, Rules: []lint.Rule{broken, marks()},
	})
	if fault.KindOf(err) != fault.Bug || len(fault.DetailsOf(err)) != 1 || !strings.Contains(fault.DetailsOf(err)[0], "TL998 breaks-down on a.py: no idea") {
		t.Errorf("Run = %v with %q, want the rule named", err, fault.DetailsOf(err))
	}
	if diff := cmp.Diff([]string{"a.py:1:1 TL999 major"}, list(result)); diff != "" {
		t.Errorf("findings of the other rule (-want +got):\n%s", diff)
	}
}

func TestARunThatIsCancelledEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if _, err := lint.Run(ctx, lint.Options{FS: repository(map[string]string{"a.py": ""})}); !errors.Is(err, cause) {
		t.Errorf("Run = %v, want the reason of the cancellation", err)
	}
}

func TestTheSameRepositoryAlwaysGivesTheSameFindings(t *testing.T) {
	files := map[string]string{}
	for i := range 200 {
		files[fmt.Sprintf("pkg%d/m.py", i)] = "MARK\nimport os\nx = '/home/me/x'\n"
	}
	first, err := lint.Run(t.Context(), lint.Options{FS: repository(files), Profile: lint.Team})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		again, err := lint.Run(t.Context(), lint.Options{FS: repository(files), Profile: lint.Team})
		if diff := cmp.Diff(list(first), list(again)); diff != "" || err != nil {
			t.Fatalf("%v, findings (-first +again):\n%s", err, diff)
		}
	}
}

func TestFindingsOfOneRuleInOneFileAreBounded(t *testing.T) {
	result := runOn(t, lint.Options{FS: repository(map[string]string{"a.py": strings.Repeat("MARK\n", 5000)})})
	last := result.Findings[len(result.Findings)-1]
	if len(result.Findings) != 200 || !strings.Contains(last.Message, "(and 4800 more)") {
		t.Errorf("%d findings, the last %q, want 200 and the number of the others", len(result.Findings), last.Message)
	}
}

func TestNotebooksAreReadCellByCell(t *testing.T) {
	notebook := map[string]any{
		"nbformat": 4, "nbformat_minor": 5, "metadata": map[string]any{"language_info": map[string]any{"name": "python"}},
		"cells": []any{
			map[string]any{"cell_type": "markdown", "metadata": map[string]any{}, "source": "/home/me/a"},
			map[string]any{"cell_type": "code", "metadata": map[string]any{}, "execution_count": 2, "outputs": []any{map[string]any{"a": 1}}, "source": []string{
				"%matplotlib inline\n", "!ls /home/me\n", "files = !ls\n", "x?\n", "value = 7 \\\n", "  % 2\n", "path = '/home/me/a'",
			}},
			map[string]any{"cell_type": "code", "metadata": map[string]any{}, "execution_count": nil, "outputs": []any{}, "source": "%%bash\necho /home/me"},
			map[string]any{"cell_type": "code", "metadata": map[string]any{}, "execution_count": nil, "outputs": []any{}, "source": "# towline: ignore TL302 shown\nb = '/home/me/b'"},
		},
	}
	text, err := json.MarshalIndent(notebook, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	rules := slices.DeleteFunc(lint.Catalogue(), func(r lint.Rule) bool { return r.ID != "TL302" && r.ID != "TL301" && r.ID != "TL908" })
	result := runOn(t, lint.Options{FS: repository(map[string]string{"a.ipynb": string(text)}), Rules: rules})
	if diff := cmp.Diff([]string{"a.ipynb:cell_2:7 TL302 minor"}, list(result)); diff != "" || result.Ignored != 1 {
		t.Fatalf("ignored %d, findings (-want +got):\n%s", result.Ignored, diff)
	}
	f := result.Findings[0]
	if raw := strings.Split(string(text), "\n")[f.Line-1]; !strings.Contains(raw, "path = '/home/me/a'") || f.Source != "path = '/home/me/a'" {
		t.Errorf("line %d is %q and the source %q, want that of the assignment", f.Line, raw, f.Source)
	}
}

func TestHostileFilesAreTold(t *testing.T) {
	deep := strings.Repeat("[", 100_000)
	for _, tt := range []struct {
		name, file, text string
		want             []string
	}{
		{"NULs", "a.py", "x = 1\x00MARK\n", []string{"a.py:1:7 TL999 major"}},
		{"invalid UTF-8", "a.py", "\xff\xfe MARK \xc3\n", []string{"a.py:1:4 TL999 major"}},
		{"a notebook nested deeply", "a.ipynb", `{"metadata": ` + deep, []string{"a.ipynb TL906 minor"}},
		{"cells nested deeply", "a.ipynb", `{"cells": [{"outputs": ` + deep, []string{"a.ipynb TL906 minor"}},
		{"a notebook that is a list", "a.ipynb", `[]`, []string{"a.ipynb TL906 minor"}},
		{"a source that is a number", "a.ipynb", `{"cells": [{"source": [1]}]}`, []string{"a.ipynb TL906 minor"}},
		{"a notebook cut off", "a.ipynb", `{"cells": [`, []string{"a.ipynb TL906 minor"}},
		{"an empty notebook", "a.ipynb", ``, []string{"a.ipynb TL906 minor"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			result := runOn(t, lint.Options{FS: repository(map[string]string{tt.file: tt.text})})
			if diff := cmp.Diff(tt.want, list(result)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLinksOfARealDiskAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret.py")
	for name, text := range map[string]string{outside: "MARK", filepath.Join(dir, "a.py"): "MARK", filepath.Join(dir, "sub", "b.py"): "MARK"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"out.py": outside, "sub/loop": "..", "self": "self", "in.py": "a.py", "up": "../.."} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	want := []string{"a.py:1:1 TL999 major", "out.py TL905 minor", "self TL905 minor", "sub/b.py:1:1 TL999 major", "up TL905 minor"}
	for name, o := range map[string]lint.Options{
		"walked": {FS: root.FS()},
		"listed": {FS: root.FS(), Listed: []string{"a.py", "out.py", "self", "sub/b.py", "sub/loop", "in.py", "up"}},
	} {
		if diff := cmp.Diff(want, list(runOn(t, o))); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", name, diff)
		}
	}
}

func FuzzRun(f *testing.F) {
	for _, rule := range lint.Catalogue() {
		for name, text := range rule.Bad.Files {
			f.Add(name, []byte(text))
		}
	}
	f.Add("a.ipynb", []byte(`{"cells": [{"cell_type": "code", "source": ["%x\n", "y = !z"], "outputs": [{}]}], "metadata": {}}`))
	f.Add(".gitignore", []byte("[\n!\n/\n**\n\\"))
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		if !fs.ValidPath(name) || name == "." || len(text) > 1<<16 {
			return
		}
		files := fstest.MapFS{name: &fstest.MapFile{Data: text, Mode: 0o644}}
		result, err := lint.Run(t.Context(), lint.Options{FS: files})
		if err != nil {
			t.Fatalf("Run: %v %q", err, fault.DetailsOf(err))
		}
		for _, found := range result.Findings {
			if found.Fix == nil {
				continue
			}
			if _, err := found.Fix.Content(); err != nil {
				t.Errorf("%s: fix: %v", found.Rule, err)
			}
		}
	})
}
