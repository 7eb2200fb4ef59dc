package bundle_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
)

// lockedWithTools is the lock of a project whose developers need tools.
const lockedWithTools = `version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "m"
version = "0.1.0"
source = { virtual = "." }
dependencies = [{ name = "towdep" }]

[package.dev-dependencies]
dev = [{ name = "pytest" }, { name = "pytest-cov" }, { name = "towtool" }]

[[package]]
name = "pytest"
version = "8.0"
source = { registry = "wheels" }
wheels = [{ path = "pytest-8.0-py3-none-any.whl" }]

[[package]]
name = "pytest-cov"
version = "6.0"
source = { registry = "wheels" }
wheels = [{ path = "pytest_cov-6.0-py3-none-any.whl" }]

[[package]]
name = "towdep"
version = "1.0"
source = { registry = "wheels" }
wheels = [{ path = "towdep-1.0-py3-none-any.whl" }]

[[package]]
name = "towtool"
version = "2.0"
source = { registry = "wheels" }
wheels = [{ path = "towtool-2.0-py3-none-any.whl" }]
`

// The environment of the tests has what the image has, in the same versions,
// and what the tests ask for beside it, wherever they do so. Settings of uv in
// the project, such as its index, hold there too.
func TestTheEnvironmentOfTheTests(t *testing.T) {
	const (
		beside = "--no-index\n--find-links wheels\ntowdep\ntowtool\n"
		tools  = `["towtool==2.0", "pytest==8.0", "pytest-cov"]` + "\n"
	)
	for _, tt := range []struct {
		name, requirements string
		files              map[string]string
	}{
		{"a requirements file, and one for the tests", "requirements.txt", map[string]string{"requirements-test.txt": beside}},
		{"a requirements file, and one for developers", "requirements.txt", map[string]string{"requirements-dev.txt": beside}},
		{"a project with a group for developers", "pyproject.toml",
			map[string]string{"pyproject.toml": project + "\n[dependency-groups]\nother = []\ndev = " + tools}},
		{"a project with an extra for tests", "pyproject.toml",
			map[string]string{"pyproject.toml": project + "\n[project.optional-dependencies]\ntest = " + tools}},
		{"a project, and a file for the tests", "pyproject.toml",
			map[string]string{"pyproject.toml": project, "requirements-test.txt": beside}},
		{"a lock with a group for developers", "uv.lock",
			map[string]string{"pyproject.toml": project + "\n[dependency-groups]\ndev = " + tools, "uv.lock": lockedWithTools}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := repository(t)
			withWheel(t, root)
			for name, files := range map[string]map[string]string{
				"towdep-3.0":     {"towdep/__init__.py": "raise SystemExit('not the version that is asked for')\n"},
				"towtool-2.0":    {"towtool.py": "import towdep\nprint(towdep.answer())\n"},
				"pytest-8.0":     {"pytest.py": ""},
				"pytest_cov-6.0": {"pytest_cov.py": ""},
			} {
				wheel(t, filepath.Join(root, "wheels", name+"-py3-none-any.whl"), files)
			}
			write(t, root, tt.files)
			o, a := options(t), action(t, root)
			a.Requirements = tt.requirements
			bed, err := bundle.New(o).Testbed(context.Background(), a)
			if err != nil {
				t.Fatalf("Testbed() = %v %q", err, fault.DetailsOf(err))
			}
			out, err := exec.Command(filepath.Join(bed, "bin", "python"), "-m", "towtool").CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != "42" {
				t.Errorf("the tool says %q, %v, want 42", out, err)
			}
			again, err := bundle.New(o).Testbed(context.Background(), a)
			if err != nil || again != bed {
				t.Errorf("second Testbed() = %s, %v, want %s", again, err, bed)
			}
		})
	}
}

func TestAnEnvironmentOfTestsThatCannotBeMade(t *testing.T) {
	for _, tt := range []struct {
		name, requirements, python string
		files                      map[string]string
		environ                    []string
		kind                       fault.Kind
		want, hint                 string
	}{
		{"without uv", "", "3.11", nil, []string{"PATH=/nowhere"}, fault.Missing, "prepare the tests: found no uv", "TOWLINE_UV"},
		{"without that Python", "", "3.99", nil, nil, fault.Missing, "no Python 3.99 on this machine", "image.python"},
		{"by poetry's tables", "pyproject.toml", "3.11", map[string]string{"pyproject.toml": "[tool.poetry]\nname = \"m\"\n"}, nil,
			fault.Repository, "read pyproject.toml: it has no [project] table", "poetry export"},
		{"by another version of a locked dependency", "requirements.txt", "3.11",
			map[string]string{"requirements-test.txt": "--no-index\n--find-links wheels\ntowdep==3.0\n"}, nil,
			fault.Repository, "install requirements-test.txt: what it asks for contradicts itself", "versions"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := repository(t)
			withWheel(t, root)
			wheel(t, filepath.Join(root, "wheels", "towdep-3.0-py3-none-any.whl"), map[string]string{"towdep.py": ""})
			write(t, root, tt.files)
			o, a := options(t), action(t, root)
			if tt.environ != nil {
				o.Environ = tt.environ
			}
			a.Requirements, a.Python = tt.requirements, tt.python
			_, err := bundle.New(o).Testbed(context.Background(), a)
			wantFault(t, err, tt.kind, tt.want, tt.hint)
		})
	}
}
