package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const digest = "registry.example.com/towline/towline@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// project is a copy of what the command changes, as the current folder.
func project(t *testing.T) {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(filepath.Join(folder, "templates"), os.DirFS("../../templates")); err != nil {
		t.Fatal(err)
	}
	text := read(t, "../../README.md")
	t.Chdir(folder)
	write(t, "README.md", text)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestEveryTemplateIsPinned(t *testing.T) {
	project(t)
	before := read(t, "templates/deploy.yml")
	for range 2 { // a release that is made again changes nothing
		if err := run([]string{"-image", digest, "-version", "1.2.0", "-notes", "notes.md"}, &bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob("templates/*.yml")
	for _, file := range files {
		if text := read(t, file); strings.Count(text, digest) != 1 || strings.Contains(text, unpinned) {
			t.Errorf("%s names the image %d times, want once and nothing else", file, strings.Count(text, digest))
		}
		if name := strings.TrimSuffix(filepath.Base(file), ".yml"); !strings.Contains(read(t, "notes.md"), "- `"+name+"`\n") {
			t.Errorf("the notes do not name %s", name)
		}
	}
	if got, want := read(t, "templates/deploy.yml"), strings.Replace(before, unpinned, digest, 1); got != want {
		t.Errorf("more was changed than the image:\n%s", got)
	}
	for _, page := range []string{"README.md", "templates/README.md"} {
		if text := read(t, page); !strings.Contains(text, "@1.2.0") || strings.Contains(text, "@1.0.0") {
			t.Errorf("%s does not show version 1.2.0 alone", page)
		}
	}
	var out bytes.Buffer
	if err := run([]string{"-check"}, &out); err != nil || out.String() != digest+"\n" {
		t.Errorf("-check says %q, %v", &out, err)
	}
}

func TestWhatIsNotPinned(t *testing.T) {
	for _, tt := range []struct {
		name          string
		change        func(t *testing.T)
		image, digest string
		want          string
	}{
		{"a tag", nil, "registry.example.com/towline:1.2.0", "1.2.0", "wanted HOST/REPOSITORY@sha256:DIGEST"},
		{"a host alone", nil, "registry.example.com@sha256:" + strings.Repeat("0", 64), "1.2.0", "wanted HOST/REPOSITORY@sha256:DIGEST"},
		{"a version with a v", nil, digest, "v1.2.0", "wanted three numbers"},
		{"a candidate", nil, digest, "1.2.0-rc.1", "wanted three numbers"},
		{"templates of another release", func(t *testing.T) {
			other := strings.Replace(digest, "0123", "3210", 1)
			if err := run([]string{"-image", other, "-version", "1.1.0"}, &bytes.Buffer{}); err != nil {
				t.Fatal(err)
			}
		}, digest, "1.2.0", "pinned to registry.example.com/towline/towline@sha256:3210"},
		{"templates that differ", func(t *testing.T) {
			write(t, "templates/lint.yml", strings.Replace(read(t, "templates/lint.yml"), unpinned, digest, 1))
		}, digest, "1.2.0", "lint.yml names the image " + digest},
		{"a template without the input", func(t *testing.T) {
			write(t, "templates/lint.yml", strings.Replace(read(t, "templates/lint.yml"), "    image:\n", "    picture:\n", 1))
		}, digest, "1.2.0", "lint.yml: 0 inputs called image with a default, wanted one"},
		{"another folder", func(t *testing.T) { t.Chdir(t.TempDir()) }, digest, "1.2.0", "there are no templates here"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			project(t)
			if tt.change != nil {
				tt.change(t)
			}
			err := run([]string{"-image", tt.image, "-version", tt.digest}, &bytes.Buffer{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
