package lint_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"gitlab.com/towline/towline/pkg/lint"
)

func TestRepositoryRules(t *testing.T) {
	code := "apiVersion: towline/v1\nproject: p\nmodels:\n  - name: m\n    path: svc\n    train: {command: [python, train.py]}\n"
	run(t, []ruleCase{
		{"a model in tests", "TL103", map[string]string{"tests/data/a.pt": "x"}, "", nil},
		{"a pointer of git-lfs", "TL103", map[string]string{"a.pt": "version https://git-lfs.github.com/spec/v1\n"}, "", nil},
		{"a small .bin is anything", "TL103", map[string]string{"a.bin": "x"}, "", nil},
		{"a pointer in the text of a README", "TL104", map[string]string{"README.md": "version https://git-lfs.github.com/spec/v1\n"}, "", nil},
		{"a notebook without cells", "TL105", map[string]string{"a.ipynb": `{"nbformat": 4, "cells": []}`}, "", nil},
		{"counts without outputs", "TL105", map[string]string{"a.ipynb": `{"cells": [{"cell_type": "code", "execution_count": 3, "outputs": [], "source": ""}]}`}, "", []string{"a.ipynb"}},
		{"a cell that was not run between others", "TL106", map[string]string{"a.ipynb": `{"cells": [
			{"cell_type": "code", "execution_count": 1}, {"cell_type": "code", "execution_count": null}, {"cell_type": "code", "execution_count": 2}]}`}, "", nil},
		{"no .gitignore", "TL108", map[string]string{"a.txt": ""}, "", []string{".gitignore"}},
		{"wider patterns", "TL108", map[string]string{"a.py": "", ".gitignore": ".*\n!.gitignore\n__pycache__\n"}, "", nil},
		{"a pattern taken back", "TL108", map[string]string{".gitignore": ".env\n.venv\n!.env\n"}, "", []string{".gitignore"}},
		{"each folder once", "TL109", map[string]string{".venv/a": "", ".venv/b/c": "", "x/.venv/d": ""}, "", []string{".venv/a", "x/.venv/d"}},
		{"README without an end", "TL110", map[string]string{"readme": ""}, "", nil},
		{"the ignore file of the model's folder", "TL111", map[string]string{"towline.yaml": code, "svc/train.py": "", "svc/.dockerignore": "*.py\n"}, "", []string{"svc/.dockerignore:1"}},
		{"a pattern for the top", "TL111", map[string]string{"towline.yaml": code, "svc/train.py": "", ".dockerignore": "train.py\n"}, "", nil},
		{"a pattern for every folder", "TL111", map[string]string{"towline.yaml": code, "svc/train.py": "", ".dockerignore": "**/train.py\n"}, "", []string{".dockerignore:1"}},
		{"a pattern that is none", "TL111", map[string]string{"towline.yaml": code, "svc/train.py": "", ".dockerignore": "[\n"}, "", nil},
	})
}

func TestFixesOfTheRepository(t *testing.T) {
	for _, tt := range []struct {
		name, rule string
		files      map[string]string
		path, want string
	}{
		{"lines are added to .gitignore", "TL108", map[string]string{".gitignore": "*.log"}, ".gitignore", "*.log\n.env\n.venv/\n"},
		{"a .gitignore is written", "TL108", map[string]string{"a": ""}, ".gitignore", ".env\n.venv/\n"},
		{
			"a notebook is stripped", "TL105", map[string]string{"a.ipynb": `{"cells": [{"cell_type": "code", "execution_count": 3, "outputs": [{"text": "x"}], "source": "x"}], "nbformat": 4}`},
			"a.ipynb", `{"cells": [{"cell_type": "code", "execution_count": null, "outputs": [], "source": "x"}], "nbformat": 4}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			repo, tracked := fstest.MapFS{}, []string{}
			for name, text := range tt.files {
				repo[name] = &fstest.MapFile{Data: []byte(text)}
				tracked = append(tracked, name)
			}
			result, err := lint.Run(t.Context(), lint.Options{FS: repo, Tracked: tracked, Profile: lint.Team})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range result.Findings {
				if f.Rule != tt.rule {
					continue
				}
				got, err := f.Fix.Content()
				if err != nil || string(got) != tt.want || f.Fix.Path != tt.path {
					t.Errorf("fix of %s: %q, %v, want %q in %s", f.Fix.Path, got, err, tt.want, tt.path)
				}
				return
			}
			t.Errorf("no finding of %s", tt.rule)
		})
	}
}

func TestALineWithASecretIsNeverRepeated(t *testing.T) {
	text := head + "    train: {command: [a], instance: ml.m5.small, environment: {DB_PASSWORD: hunter2-or-so}}\n"
	result, err := lint.Run(t.Context(), lint.Options{FS: fstest.MapFS{"towline.yaml": {Data: []byte(text)}}, Profile: lint.Team})
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, f := range result.Findings {
		if strings.Contains(f.Message+f.Source+f.Advice, "hunter2") {
			t.Errorf("%s says %q, of the line %q", f.Rule, f.Message, f.Source)
		}
		if f.Line == 5 {
			lines++
		}
	}
	if lines < 2 {
		t.Errorf("%d findings in the line, want that of the secret and that of the instance", lines)
	}
}
