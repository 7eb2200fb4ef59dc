package lint_test

import "testing"

func TestDependencyRules(t *testing.T) {
	one := func(text string) map[string]string { return map[string]string{"requirements.txt": text} }
	docker := func(text string) map[string]string { return map[string]string{"Dockerfile": text} }
	run(t, []ruleCase{
		{"requirements of development", "TL802", map[string]string{"requirements-dev.txt": "pytest\n"}, "", nil},
		{"a requirements.in", "TL802", map[string]string{"requirements.in": "numpy\n"}, "", nil},
		{"a wildcard is no pin", "TL802", one("a==1.*\n"), "", []string{"requirements.txt:1"}},
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
