package lint_test

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"testing"
	"testing/fstest"

	"gitlab.com/towline/towline/pkg/lint"
)

func TestEveryRuleFindsItsBadExampleAndNotItsGoodOne(t *testing.T) {
	for _, rule := range lint.Catalogue() {
		t.Run(rule.ID+" "+rule.Name, func(t *testing.T) {
			bad := places(t, rule, rule.Bad)
			if !slices.Contains(bad, rule.Bad.At) {
				t.Errorf("bad example: found at %q, want %q", bad, rule.Bad.At)
			}
			if good := places(t, rule, rule.Good); len(good) > 0 {
				t.Errorf("good example: found at %q, want nothing", good)
			}
		})
	}
}

// A fix is only for what is certain: with it the bad example passes, and there
// is nothing more to mend.
func TestAFixMakesTheBadExamplePass(t *testing.T) {
	fixed := 0
	for _, rule := range lint.Catalogue() {
		e := rule.Bad
		o := lint.Options{FS: exampleFS(e), Profile: cmp.Or(e.Profile, lint.Team), Rules: []lint.Rule{rule}, Limits: e.Limits, Installed: map[string]string{"numpy": "2.0.0"}}
		o.Tracked = slices.DeleteFunc(slices.Sorted(maps.Keys(exampleFS(e).MapFS)), func(name string) bool { return slices.Contains(e.Untracked, name) })
		result, err := lint.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range result.Findings {
			if f.Fix == nil {
				continue
			}
			text, err := f.Fix.Content()
			if err != nil {
				t.Fatalf("%s: %v", rule.ID, err)
			}
			fixed++
			mended := exampleFS(e)
			mended.MapFS[f.Fix.Path] = &fstest.MapFile{Data: text, Mode: 0o644}
			o.FS = mended
			again, err := lint.Run(t.Context(), o)
			if err != nil || len(again.Findings) > 0 {
				t.Errorf("%s %s: with its fix still found: %v, %v", rule.ID, rule.Name, again.Findings, err)
			}
		}
	}
	if fixed < 4 {
		t.Errorf("%d fixes, want those of outputs, .gitignore, pins and .dockerignore", fixed)
	}
}

func TestEveryRuleIsFullyDescribed(t *testing.T) {
	seen := map[string]string{}
	for _, rule := range lint.Catalogue() {
		if !regexp.MustCompile(`^TL[1-9][0-9]{2}$`).MatchString(rule.ID) || !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`).MatchString(rule.Name) {
			t.Errorf("%s %s: not an identifier and a name in kebab case", rule.ID, rule.Name)
		}
		for what, text := range map[string]string{"Looks": rule.Looks, "Why": rule.Why, "Advice": rule.Advice, "Bad.At": rule.Bad.At} {
			if text == "" {
				t.Errorf("%s %s: %s is empty", rule.ID, rule.Name, what)
			}
		}
		for _, key := range []string{rule.ID, rule.Name} {
			if other, twice := seen[key]; twice {
				t.Errorf("%s: %s is that of %s too", rule.ID, key, other)
			}
			seen[key] = rule.ID
		}
	}
}

// places runs one rule over an example: path:line of each finding, or path.
func places(t *testing.T, rule lint.Rule, e lint.Example) []string {
	t.Helper()
	repo, tracked := exampleFS(e), []string{}
	for name := range repo.MapFS {
		if !slices.Contains(e.Untracked, name) {
			tracked = append(tracked, name)
		}
	}
	result, err := lint.Run(t.Context(), lint.Options{
		FS: repo, Tracked: tracked, Profile: cmp.Or(e.Profile, lint.Team), Rules: []lint.Rule{rule},
		Limits: e.Limits, Settings: e.Settings, Baseline: e.Baseline,
	})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range result.Findings {
		place := f.Path
		if f.Line > 0 {
			place = fmt.Sprintf("%s:%d", f.Path, f.Line)
		}
		list = append(list, place)
	}
	return list
}

// closedFS refuses to open some of its files.
type closedFS struct {
	fstest.MapFS
	closed []string
}

func (c closedFS) Open(name string) (fs.File, error) {
	if slices.Contains(c.closed, name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return c.MapFS.Open(name)
}

func exampleFS(e lint.Example) closedFS {
	repo := fstest.MapFS{}
	for name, content := range e.Files {
		repo[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	for name, size := range e.Sizes {
		repo[name] = &fstest.MapFile{Data: make([]byte, size), Mode: 0o644}
	}
	for name, target := range e.Links {
		repo[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
	}
	return closedFS{repo, e.Closed}
}
