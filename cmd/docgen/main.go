// Command docgen writes what is generated from the program itself: the
// manifest's JSON Schema and the reference pages.
//
// It is run at the top of the repository. With -check it writes nothing, and
// exits 1 naming the files that are out of date.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gitlab.com/towline/towline/pkg/manifest"
)

func main() {
	check := flag.Bool("check", false, "write nothing, exit 1 if a file is out of date")
	flag.Parse()
	os.Exit(run(".", *check, os.Stdout, os.Stderr))
}

// page is one generated file.
type page struct {
	path string // from the top of the repository
	text []byte
}

// run brings the generated files below root up to date, or names those that are not.
func run(root string, check bool, stdout, stderr io.Writer) int {
	pages, err := generate(root)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "docgen: %v\n", err)
		return 1
	}
	var drifted []string
	for _, p := range pages {
		file := filepath.Join(root, filepath.FromSlash(p.path))
		if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, p.text) {
			continue
		}
		drifted = append(drifted, p.path)
		if check {
			continue
		}
		if err := write(file, p.text); err != nil {
			_, _ = fmt.Fprintf(stderr, "docgen: %v\n", err)
			return 1
		}
		_, _ = fmt.Fprintf(stdout, "wrote %s\n", p.path)
	}
	if !check || len(drifted) == 0 {
		return 0
	}
	for _, path := range drifted {
		_, _ = fmt.Fprintf(stderr, "docgen: %s is out of date\n", path)
	}
	_, _ = fmt.Fprintln(stderr, "docgen: run: go run ./cmd/docgen")
	return 1
}

func generate(root string) ([]page, error) {
	schema, err := manifestSchema(root)
	if err != nil {
		return nil, err
	}
	text, err := schemaText(schema)
	if err != nil {
		return nil, err
	}
	commands, err := cliPage()
	if err != nil {
		return nil, err
	}
	return []page{
		{"docs/reference/cli.md", commands},
		{"pkg/manifest/" + manifest.SchemaFile, text},
		{"docs/reference/manifest.md", manifestPage(schema)},
		{"docs/reference/exit-codes.md", exitCodes()},
		{"docs/reference/rules.md", rulesPage()},
	}, nil
}

func write(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
