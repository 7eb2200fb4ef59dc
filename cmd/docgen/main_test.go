package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheGeneratedFilesAreUpToDate(t *testing.T) {
	var stderr bytes.Buffer
	if code := run("../..", true, &bytes.Buffer{}, &stderr); code != 0 {
		t.Errorf("docgen -check exits %d:\n%s", code, stderr.String())
	}
}

func TestCheckNamesWhatHasDrifted(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "pkg", "manifest"), os.DirFS("../../pkg/manifest")); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(root, true, &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), "docgen: docs/reference/exit-codes.md is out of date\n") {
		t.Errorf("-check of a folder without pages exits %d: %s", code, stderr.String())
	}
	if _, err := os.Stat(filepath.Join(root, "docs")); err == nil {
		t.Error("-check writes files")
	}
	if code := run(root, false, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), "wrote docs/reference/manifest.md\n") {
		t.Errorf("docgen exits %d: %s%s", code, stdout.String(), stderr.String())
	}
	stdout.Reset()
	stderr.Reset()
	if code := run(root, true, &stdout, &stderr); code != 0 || stdout.Len()+stderr.Len() > 0 {
		t.Errorf("-check after docgen exits %d: %s%s", code, stdout.String(), stderr.String())
	}
	page := filepath.Join(root, "docs", "reference", "manifest.md")
	if err := os.WriteFile(page, []byte("edited"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "docgen: docs/reference/manifest.md is out of date\ndocgen: run: go run ./cmd/docgen\n"
	if code := run(root, true, &stdout, &stderr); code != 1 || stderr.String() != want {
		t.Errorf("-check of an edited page exits %d: %q, want %q", code, stderr.String(), want)
	}
}

func TestEveryKeyIsDescribed(t *testing.T) {
	schema, err := manifestSchema("../..")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(manifestPage(schema))) {
		if cells := strings.Split(line, " | "); len(cells) == 5 && cells[3] == "" {
			t.Errorf("no description: %s", line)
		}
	}
}
