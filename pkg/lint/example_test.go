package lint_test

import (
	"cmp"
	"fmt"
	"io/fs"
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
