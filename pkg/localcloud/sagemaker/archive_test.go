package sagemaker_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"gitlab.com/towline/towline/pkg/localcloud/sagemaker"
)

func zipped(t testing.TB, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(raw)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func tarred(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, header := range headers {
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, header.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// FuzzUnpack: whatever is in an archive, nothing is written, and nothing can
// be reached, outside of its folder.
func FuzzUnpack(f *testing.F) {
	f.Add(tarred(f, tar.Header{Name: "a/b", Size: 3, Mode: 0o600}))
	f.Add(tarred(f, tar.Header{Name: "../b", Size: 3}, tar.Header{Name: "/etc/x", Size: 1}))
	f.Add(tarred(f, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: ".."}, tar.Header{Name: "l/x", Size: 1}))
	f.Add(tarred(f, tar.Header{Name: "l", Typeflag: tar.TypeLink, Linkname: "../../x"}))
	f.Add(tarred(f, tar.Header{Name: "d", Typeflag: tar.TypeChar}, tar.Header{Name: "d/", Typeflag: tar.TypeDir}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		top := t.TempDir()
		dir := filepath.Join(top, "inner", "model")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		_ = sagemaker.Unpack(t.Context(), bytes.NewReader(zipped(t, raw)), dir)
		err := filepath.WalkDir(top, func(path string, entry os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			if path != top && path != filepath.Dir(dir) && !filepath.IsLocal(rel) {
				t.Errorf("%s was written outside of the folder", path)
			}
			if entry.Type()&os.ModeSymlink == 0 {
				return nil
			}
			if to, err := os.Readlink(path); err != nil || filepath.IsAbs(to) {
				t.Errorf("%s is a link to %s, %v", path, to, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
