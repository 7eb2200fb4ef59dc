package e2e_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What looks for secrets finds them wherever a job could leave one.
func TestSecretsAreFoundWhereverTheyLie(t *testing.T) {
	const secret = "glcbt-0123456789"
	var secrets secretTexts
	secrets.add("job token", secret)
	folder := t.TempDir()
	var zipped, packed bytes.Buffer
	archive := zip.NewWriter(&zipped)
	entry, err := archive.Create("record.json")
	if err != nil {
		t.Fatal(err)
	}
	squeezed := gzip.NewWriter(&packed)
	for _, to := range []io.Writer{entry, squeezed} {
		if _, err := io.WriteString(to, strings.Repeat("a", 1<<16)+secret); err != nil {
			t.Fatal(err)
		}
	}
	for _, closer := range []io.Closer{archive, squeezed} {
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"deep/er/log": "token: " + secret + "\n", "artifacts.zip": zipped.String(), "layer": packed.String(),
		"clean": "glcbt-", "config": secret,
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, looked, err := secrets.inFolder(folder, func(path string) bool { return path == "config" })
	want := []string{"artifacts.zip holds the job token", "deep/er/log holds the job token", "layer holds the job token"}
	if diff := cmp.Diff(want, found); err != nil || looked != 4 || diff != "" {
		t.Errorf("looked into %d files, %v (-want +got):\n%s", looked, err, diff)
	}
}
