package bundle_test

import (
	"context"
	"testing"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
)

// What an installer only points to, in a folder of this machine, is not in the
// image: it is refused, however it is asked for.
func TestNothingOfAnImageLiesOnThisMachine(t *testing.T) {
	const library = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n\n" +
		"[project]\nname = \"own\"\nversion = \"1\"\n"
	const backend = `import zipfile

def build_editable(folder, settings=None, metadata=None):
    name = "own-1-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.writestr("own.pth", __file__[: -len("/backend.py")] + "\n")
        wheel.writestr("own-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: own\nVersion: 1\n")
        wheel.writestr("own-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("own-1.dist-info/RECORD", "own.pth,,\n")
    return name
`
	const asked = "[project]\nname = \"m\"\nversion = \"1\"\nrequires-python = \">=3.11\"\ndependencies = [\"own\"]\n\n" +
		"[tool.uv]\nno-index = true\n\n[tool.uv.sources]\nown = { path = \"own\", editable = true }\n"
	const locked = `version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "m"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "own" }]

[package.metadata]
requires-dist = [{ name = "own", editable = "own" }]

[[package]]
name = "own"
version = "1"
source = { editable = "own" }
`
	for _, tt := range []struct {
		name, requirements string
		files              map[string]string
		want               string
	}{
		{"by a line", "requirements.txt", map[string]string{"requirements.txt": "-e ./own\n"}, "install requirements.txt: ./own is to be editable"},
		{"by a line of a file that is named", "requirements.txt",
			map[string]string{"requirements.txt": "-r more.txt\n", "more.txt": "--editable=own\n"}, "install requirements.txt: own is to be editable"},
		{"by a lock", "uv.lock", map[string]string{"pyproject.toml": asked, "uv.lock": locked}, "install uv.lock: ./own is to be editable"},
		{"by a project without a lock", "pyproject.toml", map[string]string{"pyproject.toml": asked}, "install pyproject.toml: own is to be editable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := repository(t)
			write(t, root, tt.files)
			write(t, root, map[string]string{"own/pyproject.toml": library, "own/backend.py": backend})
			a := action(t, root)
			a.Requirements = tt.requirements
			_, err := bundle.New(options(t)).Package(context.Background(), a)
			wantFault(t, err, fault.Repository, tt.want, "remove it from the dependencies")
			if t.Failed() {
				t.Logf("%q", fault.DetailsOf(err))
			}
		})
	}
}
