package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A server takes what the page of versions says for it, and with that the
// hand-over reaches the other project.
func TestVersionsOfGitLab(t *testing.T) {
	for _, tt := range []struct {
		server                string
		strategy, pass, wants string
		confirm               bool
	}{
		{"16.11", "depend", "variables", "variables", false},
		{"17.1", "depend", "variables", "variables", true},
		{"17.11", "none", "variables", "variables", true},
		{"18.2", "mirror", "variables", "variables", true},
		{"18.9", "mirror", "predefined", "CI_UPSTREAM_*", true},
		{"18.9", "mirror", "variables", "variables", true},
	} {
		t.Run(tt.server+" "+tt.strategy+" "+tt.pass, func(t *testing.T) {
			for name, inputs := range map[string]tree{
				"model-trigger":  {"project": "platform/models", "env": "prod", "strategy": tt.strategy, "pass": tt.pass},
				"deploy":         {"env": "prod", "confirm": tt.confirm},
				"model-pipeline": {"env": "prod", "confirm": tt.confirm},
				"mlops-pipeline": {"env": "prod", "confirm": tt.confirm},
			} {
				all, err := jobs(rendered(t, name, inputs))
				if err != nil {
					t.Fatal(err)
				}
				for job, body := range all {
					for keyword, version := range since {
						if newer(t, version, tt.server) && mentions(body, keyword) {
							t.Errorf("%s: job %s uses %s, which came with %s", name, job, keyword, version)
						}
					}
				}
				if name == "model-trigger" {
					passedOn(t, all["trigger"], tt.wants)
				}
			}
		})
	}
}

// passedOn looks at what a trigger job tells the other project.
func passedOn(t *testing.T, trigger tree, wants string) {
	t.Helper()
	variables, _ := trigger["variables"].(tree)
	forward, _ := trigger["trigger"].(tree)["forward"].(tree)
	_, named := variables["UPSTREAM_PIPELINE_ID"]
	if by := wants == "variables"; named != by || forward["yaml_variables"] != by {
		t.Errorf("the trigger passes %v on, forward %v, want %s", variables, forward, wants)
	}
}

// newer compares versions by their two numbers.
func newer(t *testing.T, version, than string) bool {
	t.Helper()
	numbers := func(text string) [2]int {
		major, minor, _ := strings.Cut(text, ".")
		a, errA := strconv.Atoi(major)
		b, errB := strconv.Atoi(minor)
		if errA != nil || errB != nil {
			t.Fatalf("%s is no version", text)
		}
		return [2]int{a, b}
	}
	v, w := numbers(version), numbers(than)
	return v[0] > w[0] || v[0] == w[0] && v[1] > w[1]
}

var inBackticks = regexp.MustCompile("`([^`]+)`")

// Every test that the page of versions names is there.
func TestVersionsPageNamesTests(t *testing.T) {
	page, err := os.ReadFile("../docs/gitlab-versions.md")
	if err != nil {
		t.Fatal(err)
	}
	functions := testFunctions(t)
	rows := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 5 || !regexp.MustCompile(`^ \d`).MatchString(cells[0]) {
			continue
		}
		rows++
		named := inBackticks.FindAllStringSubmatch(cells[4], -1)
		if len(named) == 0 {
			t.Errorf("no test is named for: %s", strings.TrimSpace(line))
		}
		for _, name := range named {
			_, script := os.Stat(filepath.Join("testdata", "script", name[1]+".txtar"))
			if !functions[name[1]] && script != nil {
				t.Errorf("there is no test %s", name[1])
			}
		}
	}
	if rows < 10 {
		t.Errorf("found %d rows", rows)
	}
}

// testFunctions are the names of all tests.
func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	pattern := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, root := range []string{"../pkg", "."} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, name := range pattern.FindAllStringSubmatch(string(text), -1) {
				found[name[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}
