package lint_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/lint"
)

// Each of these took minutes or gigabytes once: what is asked of each line or
// name has to cost the same however many there are.
func TestHostileFilesCostLittle(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for i, name := range strings.Split("bcdefghij", "") {
		bomb += fmt.Sprintf("%s: &%s [%s]\n", name, name, strings.TrimSuffix(strings.Repeat("*"+string("abcdefghi"[i])+",", 9), ","))
	}
	each := func(n int, line string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(line, "N", fmt.Sprint(i)))
		}
		return b.String()
	}
	project := "[project]\nname = \"a\"\nversion = \"1\"\ndependencies = [" + each(20_000, `"pN", `) + "]\n"
	locked := each(20_000, "[[package]]\nname = \"pN\"\nversion = \"1\"\nwheels = [{ url = \"https://f/p-1-cp39-cp39-win32.whl\" }]\n")
	for _, tt := range []struct {
		name  string
		files map[string]string
	}{
		{"a requirement that goes on and on", map[string]string{"requirements.txt": strings.Repeat("numpy \\\n", 110_000)}},
		{"many requirements", map[string]string{"requirements.txt": each(60_000, "pkg-N>=1\n")}},
		{"requirements that name themselves", map[string]string{"requirements.txt": strings.Repeat("-r requirements.txt\n-c requirements.txt\nnumpy\n", 6_000)}},
		{"an instruction that goes on and on", map[string]string{"Dockerfile": strings.Repeat("FROM a\\\n", 480_000)}},
		{"comments that silence each other", map[string]string{"a.py": strings.Repeat("# towline: ignore TL302 x\n", 150_000)}},
		{"aliases of aliases", map[string]string{".gitlab-ci.yml": bomb + "job:\n  <<: *j\n  script: *j\n  needs: *j\n  extends: *j\n"}},
		{"jobs that extend each other", map[string]string{".gitlab-ci.yml": each(8_000, "jN: {extends: [k, jN], script: [a]}\n")}},
		{"many anchors and merges", map[string]string{".gitlab-ci.yml": "j:\n" + each(30_000, "  <<: &aN {bN: 1}\n") + "  script: [a]\n"}},
		{"a lock of many packages", map[string]string{"towline.yaml": model("", "    image: {requirements: uv.lock}\n"), "train.py": "import p1\n", "pyproject.toml": project, "uv.lock": locked}},
		{"a lock of Poetry", map[string]string{"pyproject.toml": "[tool.poetry.dependencies]\n" + each(10_000, "pN = \"^1\"\n"), "poetry.lock": locked}},
		{"a lock of Pipenv", map[string]string{"Pipfile": "[packages]\n" + each(10_000, "pN = \"==2\"\n"), "Pipfile.lock": `{"default": {` + each(20_000, "\"pN\": {\"version\": \"==1\"},\n") + `"q": {}}}`}},
		{"tables in tables", map[string]string{"pyproject.toml": each(8_000, "[aN]\nb.c.d = {e = 1}\n")}},
		{"a cell of nothing but lines", map[string]string{"a.ipynb": `{"cells": [{"cell_type": "code", "source": ["` + strings.Repeat(`\n`, 2_000_000) + `"]}]}`}},
		{"a source of many texts", map[string]string{"a.ipynb": `{"cells": [{"cell_type": "code", "source": [` + strings.Repeat(`"%x\n", `, 400_000) + `"x"]}]}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			if _, err := lint.Run(t.Context(), lint.Options{FS: repository(tt.files), Profile: lint.Production}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// What is too large to be looked into is told, and nothing is concluded from it.
func TestConfigurationThatIsTooLargeIsTold(t *testing.T) {
	large := strings.Repeat("# nothing\n", 110_000)
	for _, name := range []string{"requirements.txt", ".gitlab-ci.yml", "pyproject.toml"} {
		files := map[string]string{"towline.yaml": model("", "    image: {requirements: requirements.txt}\n"), "train.py": "import numpy\n", name: large}
		told := false
		for _, f := range runOn(t, lint.Options{FS: repository(files), Rules: lint.Catalogue()}).Findings {
			told = told || f.Path == name && f.Rule == "TL902" && strings.Contains(f.Message, "has 1.0 MB and is not looked into")
			if f.Rule == "TL507" {
				t.Errorf("%s is too large, and %s", name, f.Message)
			}
		}
		if !told {
			t.Errorf("%s is too large, and nobody is told", name)
		}
	}
}
