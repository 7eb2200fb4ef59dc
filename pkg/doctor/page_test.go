package doctor_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/doctor"
)

// surroundings are facts of which every check comes about, each with the same
// answer to what was asked.
func surroundings(a doctor.Answer, upstream bool) doctor.Facts {
	f := doctor.Facts{
		Now: noon,
		Machine: doctor.Machine{
			Local: true, Git: doctor.Program{Answer: a, Version: "2.39"}, UV: doctor.Program{Answer: a},
			Pythons: []doctor.Python{{Answer: a, Version: "3.11", Models: []string{"risk"}}},
			Linters: []doctor.Linter{{Name: "pylint", Program: doctor.Program{Answer: a}}, {Name: "ruff", Program: doctor.Program{Answer: a}}},
			Sandbox: doctor.Sandbox{Answer: a},
			Disks:   []doctor.Disk{{Answer: a, For: "cache", Free: 1}, {Answer: a, For: "repository", Free: 1}},
		},
		Repository: doctor.Repository{InJob: true, Manifest: a, Destination: a, Git: a},
		GitLab: doctor.GitLab{
			InJob: true, Version: "18.9", VersionFrom: a, Token: a, Push: a, Source: "pipeline",
			Allowlist: &doctor.Allowlist{Upstream: "a/b", Own: "c/d"}, Downstream: &doctor.Downstream{Project: "c/d", Asked: a},
		},
		Identity: doctor.Identity{InJob: true, First: a, Second: a, Called: a},
		S3:       doctor.S3{There: a, Write: a, Read: a, Remove: a},
		SageMaker: doctor.SageMaker{Logs: a, Described: []doctor.Described{
			{Kind: "training-job", Answer: a}, {Kind: "model", Answer: a}, {Kind: "endpoint-config", Answer: a}, {Kind: "endpoint", Answer: a},
		}},
		Registry: doctor.Registry{ECR: true, Login: a, Repositories: []doctor.ImageRepository{{Name: "r/p", Asked: a, Pull: a, Push: a}}},
	}
	if upstream {
		f.GitLab.Upstream = &doctor.Upstream{Project: "a/b", ReadJobs: a, Artifacts: a, Package: a}
	}
	return f
}

// The page has every check, in its group, with what to change, and no other.
func TestThePageNamesEveryCheck(t *testing.T) {
	page, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	_, checks, _ := strings.Cut(string(page), "\n## Checks\n")
	checks, _, _ = strings.Cut(checks, "\n## ")
	named, group, inBackticks := map[string]bool{}, "", regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(checks) {
		line = strings.TrimSpace(line)
		if heading, found := strings.CutPrefix(line, "### "); found {
			group = heading
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		if len(cells) != 3 || strings.TrimSpace(cells[1]) == "" || strings.TrimSpace(cells[2]) == "" {
			t.Errorf("a check without what it asks, or what to change: %s", line)
		}
		for _, name := range inBackticks.FindAllStringSubmatch(cells[0], -1) {
			named[group+" "+name[1]] = true
		}
	}
	there := map[string]bool{}
	for _, check := range doctor.Examine(surroundings(denied, true)) {
		there[check.Group+" "+strings.Replace(check.Name, "python 3.11", "python X.Y", 1)] = true
	}
	want, got := slices.Sorted(maps.Keys(there)), slices.Sorted(maps.Keys(named))
	if diff := cmp.Diff(want, got); diff != "" || len(got) < 40 {
		t.Errorf("the page names %d checks (-there +page):\n%s", len(got), diff)
	}
	for _, alone := range []string{"`all`", "`upstream`"} {
		if !strings.Contains(checks, alone) {
			t.Errorf("the page does not tell of the line %s", alone)
		}
	}
}

// Whatever does not work says what to change, whoever answered what.
func TestWhatFailsNamesASetting(t *testing.T) {
	for _, answer := range []doctor.Answer{{}, denied, missing, remote} {
		for _, upstream := range []bool{true, false} {
			for _, check := range doctor.Examine(surroundings(answer, upstream)) {
				if (check.State == doctor.Failed || check.State == doctor.Warning) && check.Setting == "" {
					t.Errorf("%s %s is %s, and says nothing to change: %s", check.Group, check.Name, check.State, check.Found)
				}
				if check.State == doctor.NotChecked && check.Found == "" || check.State == doctor.Failed && check.Code == 0 {
					t.Errorf("%s %s is %s, without a reason or a code", check.Group, check.Name, check.State)
				}
			}
		}
	}
}
