package lint_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/lint"
)

const (
	poetryProject = "[project]\nname = \"ours\"\nversion = \"0\"\ndependencies = [\"numpy>=2\"]\n[tool.poetry.dependencies]\npython = \"^3.11\"\npandas = \"^2\"\ntorch = {version = \"^2\", optional = true}\n"
	numpyLock     = "[[package]]\nname = \"numpy\"\nversion = \"2.1.0\"\n"
	pandasLock    = "[[package]]\nname = \"pandas\"\nversion = \"2.2.2\"\n"
)

// TestLocksOfEveryManager keeps to what each writes.
func TestLocksOfEveryManager(t *testing.T) {
	pipenv := func(lock string) map[string]string {
		return map[string]string{"Pipfile": "[packages]\nnumpy = \"==2.1.0\"\nPandas = \"*\"\n[dev-packages]\npytest = \"*\"\n", "Pipfile.lock": lock}
	}
	poetry := func(lock string) map[string]string {
		return map[string]string{"pyproject.toml": poetryProject, "poetry.lock": lock}
	}
	imports := func(file, text string, more map[string]string) map[string]string {
		files := map[string]string{"towline.yaml": model("", "    image: {requirements: "+file+"}\n"), "train.py": "import numpy\nimport yaml\n", file: text}
		for name, text := range more {
			files[name] = text
		}
		return files
	}
	project := "[project]\nname = \"ours\"\nversion = \"0\"\ndependencies = [\n  \"numpy\",\n  \"torch\",\n]\n"
	run(t, []ruleCase{
		{"a lock of Poetry with everything", "TL809", poetry(numpyLock + pandasLock), "", nil},
		{"a lock of Poetry without one", "TL809", poetry(numpyLock), "", []string{"poetry.lock"}},
		{"a lock of Poetry with an old version", "TL809", poetry(pandasLock + strings.Replace(numpyLock, "2.1", "1.26", 1)), "", []string{"poetry.lock:5"}},
		{"a lock of uv with an old version", "TL809", map[string]string{"pyproject.toml": project[:len(project)-2] + "  \"pandas>=3\",\n]\n", "uv.lock": pandasLock}, "", []string{"uv.lock:2"}},
		{"a lock of Pipenv with everything", "TL809", pipenv(`{"default": {"numpy": {"version": "==2.1.0"}, "pandas": {"version": "==2.2.2"}}}`), "", nil},
		{"a lock of Pipenv without one", "TL809", pipenv(`{"default": {"numpy": {"version": "==2.1.0"}}}`), "", []string{"Pipfile.lock"}},
		{"a lock of Pipenv with an old version", "TL809", pipenv("{\"default\": {\n\"numpy\": {\"version\": \"==1.26.4\"}, \"pandas\": {\"version\": \"==2.2.2\"}}}"), "", []string{"Pipfile.lock:2"}},
		{"a lock of Pipenv that is none", "TL809", pipenv("{"), "", nil},
		{"Poetry's dependencies in no image", "TL801", map[string]string{"towline.yaml": model(""), "train.py": "", "poetry.lock": numpyLock}, "", []string{"towline.yaml:4"}},
		{"a lock that is not read", "TL801", imports("poetry.lock", numpyLock, nil), "", []string{"towline.yaml:7"}},

		{"imports and a project", "TL507", imports("pyproject.toml", project, nil), "", []string{"train.py:2"}},
		{"imports and a lock", "TL507", imports("pyproject.toml", project, map[string]string{"uv.lock": numpyLock + strings.Replace(numpyLock, "numpy", "pyyaml", 1)}), "", nil},
		{"imports and requirements in two files", "TL507", imports("requirements.txt", "-r base-requirements.txt\nnumpy\n", map[string]string{"base-requirements.txt": "pyyaml\n"}), "", nil},
		{"imports and a package of the repository", "TL507", imports("requirements.txt", "-e .\n", nil), "", nil},
		{"a project's package that nothing imports", "TL508", imports("pyproject.toml", project, map[string]string{"uv.lock": numpyLock}), "", []string{"pyproject.toml:6"}},
		{"a package of the other file that nothing imports", "TL508", imports("requirements.txt", "-r base-requirements.txt\nnumpy\n", map[string]string{"base-requirements.txt": "pyyaml\ntorch\n"}), "", []string{"base-requirements.txt:2"}},
		{"a licence of what is locked", "TL817", imports("pyproject.toml", project, map[string]string{
			"uv.lock": numpyLock, ".venv/lib/python3.11/site-packages/numpy-2.1.0.dist-info/METADATA": "Name: numpy\nLicense-Expression: AGPL-3.0\n",
		}), "", []string{"uv.lock:2"}},
		{"a licence of what a project names", "TL817", imports("pyproject.toml", project, map[string]string{
			".venv/lib/python3.11/site-packages/torch-2.1.0.dist-info/METADATA": "Name: torch\nLicense-Expression: AGPL-3.0\n",
		}), "", []string{"pyproject.toml:6"}},
	})
}

func TestDependencyRules(t *testing.T) {
	one := func(text string) map[string]string { return map[string]string{"requirements.txt": text} }
	docker := func(text string) map[string]string { return map[string]string{"Dockerfile": text} }
	inImage := func(text string, more ...string) map[string]string {
		files := map[string]string{"towline.yaml": model("", "    image: {requirements: requirements.txt}\n"), "train.py": "", "requirements.txt": text}
		for i := 0; i < len(more); i += 2 {
			files[more[i]] = more[i+1]
		}
		return files
	}
	run(t, []ruleCase{
		{"requirements of development", "TL802", map[string]string{"requirements-dev.txt": "pytest\n"}, "", nil},
		{"a requirements.in", "TL802", map[string]string{"requirements.in": "numpy\n"}, "", nil},
		{"a wildcard is no pin", "TL802", one("a==1.*\n"), "", []string{"requirements.txt:1"}},
		{"one finding for a file that no image is made from", "TL802", one("a\nb==1\nc>=2\n"), "", []string{"requirements.txt:1"}},
		{"each line of what an image is made from", "TL802", inImage("-r base-requirements.txt\na\nb==1\nc>=2\n", "base-requirements.txt", "d\n"), "", []string{"base-requirements.txt:1", "requirements.txt:2", "requirements.txt:4"}},
		{"what constraints pin", "TL802", inImage("-r base-requirements.txt\n-c constraints.txt\na\n", "base-requirements.txt", "d\n", "constraints.txt", "A==1\nd==2\n"), "", nil},
		{"what constraints do not pin", "TL802", inImage("-c constraints.txt\na\nb\n", "constraints.txt", "a<2\nb==1\n"), "", []string{"requirements.txt:2"}},
		{"constraints that name themselves", "TL802", inImage("-c requirements.txt\n-r requirements.txt\na\n"), "", []string{"requirements.txt:3"}},
		{"what a library says of itself", "TL802", map[string]string{"requirements.txt": "a\n", "setup.py": "open('requirements.txt')\n"}, "", nil},
		{"an address is not a matter of versions", "TL802", one("a @ https://x.example/a-1.whl\n"), "", nil},
		{"a template", "TL803", one("{{ cookiecutter.name }}\n"), "", nil},
		{"UTF-16", "TL803", map[string]string{"requirements.txt": "\xff\xfea\x00=\x00=\x001\x00\n\x00"}, "", nil},
		{"the same version twice", "TL804", one("a==1\nA==1\n"), "", nil},
		{"in a file named by -r", "TL804", map[string]string{"requirements.txt": "-r base-requirements.txt\na==1\n", "base-requirements.txt": "a==2\n"}, "", []string{"requirements.txt:2"}},
		{"files that name each other", "TL804", map[string]string{"requirements.txt": "-r requirements2.txt\n", "requirements2.txt": "-r requirements.txt\n"}, "", nil},
		{"a tag", "TL805", one("a @ git+https://x.example/a@v1.2.0\n"), "", nil},
		{"ssh with a user and a commit", "TL805", one("git+ssh://git@x.example/a.git@0123456789abcdef#egg=a\n"), "", nil},
		{"ssh with a user alone", "TL805", one("git+ssh://git@x.example/a.git#egg=a\n"), "", []string{"requirements.txt:1"}},
		{"an editable from git", "TL805", one("-e git+https://x.example/a.git@main#egg=a\n"), "", []string{"requirements.txt:1"}},
		{"an index on this machine", "TL806", one("-i http://localhost:3141/simple\n"), "", nil},
		{"an index in pyproject.toml", "TL806", map[string]string{"pyproject.toml": "[[tool.uv.index]]\nurl = \"http://x.example/simple\"\n"}, "", []string{"pyproject.toml:2"}},
		{"an editable of the repository", "TL808", one("-e .\n./libs/a\n"), "", nil},
		{"a home", "TL808", one("-e /home/me/a\n"), "", []string{"requirements.txt:1"}},
		{"a pin that the source excludes", "TL809", map[string]string{"requirements.in": "a>=2\n", "requirements.txt": "a==1.5\n"}, "", []string{"requirements.txt:1"}},
		{"locks in different folders", "TL810", map[string]string{"a/uv.lock": "", "b/poetry.lock": ""}, "", nil},
		{"an argument as base", "TL814", docker("ARG BASE\nFROM ${BASE}\nFROM --platform=linux/amd64 x.example:5000/a AS b\n"), "", []string{"Dockerfile:3"}},
		{"a continued line", "TL814", docker("FROM \\\n  python:latest\n"), "", []string{"Dockerfile:1"}},
		{"JSON form", "TL815", docker("FROM a:1\nCOPY [\"m\", \"/opt/ml/model/\"]\n"), "", []string{"Dockerfile:2"}},
	})
}

// A requirement of an image is as bad as the profile says; what no image is
// made from fails no job.
func TestUnpinnedRequirementsFailWhereAnImageIsMadeFromThem(t *testing.T) {
	files := map[string]string{
		"towline.yaml": model("", "    image: {requirements: requirements.txt}\n"), "train.py": "",
		"requirements.txt": "a\n", "notes/requirements.txt": "b\nc\nd\n",
	}
	rules := slices.DeleteFunc(lint.Catalogue(), func(r lint.Rule) bool { return r.ID != "TL802" })
	result := runOn(t, lint.Options{FS: repository(files), Rules: rules, Profile: lint.Production})
	want := []string{"notes/requirements.txt:1:1 TL802 minor", "requirements.txt:1:1 TL802 major"}
	if diff := cmp.Diff(want, list(result)); diff != "" {
		t.Fatalf("findings (-want +got):\n%s", diff)
	}
	if message := result.Findings[0].Message; !strings.HasPrefix(message, "b and 2 others are not pinned") {
		t.Errorf("message %q, want all of the file in one", message)
	}
}
