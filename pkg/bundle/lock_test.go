package bundle_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
)

const project = `[project]
name = "m"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["towdep==1.0"]

[tool.uv]
no-index = true
find-links = ["wheels"]
`

const lock = `version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "m"
version = "0.1.0"
source = { virtual = "." }
dependencies = [{ name = "towdep" }]

[package.metadata]
requires-dist = [{ name = "towdep", specifier = "==1.0" }]

[[package]]
name = "towdep"
version = "1.0"
source = { registry = "wheels" }
wheels = [{ path = "towdep-1.0-py3-none-any.whl" }]
`

// A project is installed by its lock, whichever of the two files is named, and
// by itself where it has none.
func TestAProjectIsInstalled(t *testing.T) {
	for _, tt := range []struct {
		name, requirements string
		lock               string
	}{
		{"by its lock", "uv.lock", lock},
		{"by its lock, though the project is named", "pyproject.toml", lock},
		{"without a lock", "pyproject.toml", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := repository(t)
			withWheel(t, root)
			a := action(t, root)
			a.Requirements = tt.requirements
			write(t, root, map[string]string{"pyproject.toml": project})
			if tt.lock != "" {
				write(t, root, map[string]string{"uv.lock": tt.lock})
			}
			o := options(t)
			pack(t, o, a)
			if _, ok := unpack(t, a.Layout)["opt/towline/lib/towdep/__init__.py"]; !ok {
				t.Error("the dependency is not in the image")
			}
			// An unchanged lock is not even read by uv.
			o.Environ = []string{"PATH=/nowhere", "TOWLINE_UV=/nowhere/uv"}
			if python := pythonFolder(t); python != "" {
				o.Environ[0] = "PATH=" + python
			}
			if again := pack(t, o, a); !strings.Contains(again.Said, "as before") {
				t.Errorf("second run: %s, want dependencies from the cache", again.Said)
			}
		})
	}
}

// pythonFolder is where the Python that compiles lies: it is part of the key.
func pythonFolder(t *testing.T) string {
	t.Helper()
	for _, folder := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(folder, "python3.11")); err == nil {
			return folder
		}
	}
	return ""
}

func TestAProjectNeedsUV(t *testing.T) {
	root := repository(t)
	write(t, root, map[string]string{"pyproject.toml": project, "uv.lock": lock})
	a := action(t, root)
	a.Requirements = "uv.lock"
	o := options(t)
	o.Environ = []string{"PATH=/nowhere"}
	_, err := bundle.New(o).Package(context.Background(), a)
	wantFault(t, err, fault.Missing, "install uv.lock: found no uv", "TOWLINE_UV")
}

// A dependency of which there are only sources is not built: its name is told.
func TestADependencyWithoutAWheel(t *testing.T) {
	for _, requirements := range []string{"requirements.txt", "uv.lock"} {
		t.Run(requirements, func(t *testing.T) {
			root := repository(t)
			write(t, root, map[string]string{
				"sdists/srconly-1.0.tar.gz": "no archive\n",
				"requirements.txt":          "--no-index\n--find-links sdists\nsrconly==1.0\n",
				"pyproject.toml":            strings.NewReplacer("towdep", "srconly", "wheels", "sdists").Replace(project),
				"uv.lock": strings.NewReplacer("towdep", "srconly", `"wheels"`, `"sdists"`,
					`wheels = [{ path = "towdep-1.0-py3-none-any.whl" }]`, `sdist = { path = "srconly-1.0.tar.gz" }`).Replace(lock),
			})
			a := action(t, root)
			a.Requirements = requirements
			_, err := bundle.New(options(t)).Package(context.Background(), a)
			wantFault(t, err, fault.Missing, "install "+requirements+": no wheel of srconly==1.0 for Python 3.11", "build a wheel")
			if t.Failed() {
				t.Logf("%q", fault.DetailsOf(err))
			}
		})
	}
}
