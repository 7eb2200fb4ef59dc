package bundle

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// What a wheel says of its files decides nothing but who owns them.
func FuzzRecord(f *testing.F) {
	f.Add([]byte("x/__init__.py,sha256=abc,3\n../../bin/x,,\n"), []byte("#!/bin/sh\n'''exec' /a b \"$0\"\n' '''\nprint()\n"))
	f.Add([]byte("\"a\nb\",,\n"), []byte("#!python\r\n"))
	f.Add([]byte("\n,\n"), []byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(t *testing.T, record, script []byte) {
		folder := t.TempDir()
		for name, text := range map[string][]byte{"x-1.dist-info/RECORD": record, "x-1.dist-info/WHEEL": record, "bin/x": script, "x/y.so": script} {
			writeFuzzed(t, filepath.Join(folder, filepath.FromSlash(name)), text)
		}
		s, err := readStage(folder)
		if err != nil {
			t.Fatal(err)
		}
		if s.own() != nil {
			return
		}
		job := &installation{name: "requirements.txt", platform: "linux/amd64", python: "3.11"}
		_ = s.refuseEditable(job)
		_ = s.checkNative(job, func(string) {})
		if err := s.scripts(job); err != nil {
			t.Errorf("scripts: %v", err)
		}
		if err := s.records(); err != nil {
			t.Errorf("records: %v", err)
		}
		for _, g := range s.groups() {
			for _, item := range g.items {
				if !strings.HasPrefix(item.path, libFolder+"/") || strings.Contains(item.path, "..") {
					t.Errorf("%q lies outside", item.path)
				}
			}
		}
	})
}

func writeFuzzed(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil { //nolint:gosec // a test
		t.Fatal(err)
	}
}

// Whatever an installer says, logins stay unsaid and its words are few.
func FuzzInstallerWords(f *testing.F) {
	f.Add("error: No solution found\n  cause: Because docopt==0.6.2 has no usable wheels\n")
	f.Add("ERROR: Could not fetch https://user:pass@index.example/simple\n")
	f.Add("ERROR: Could not fetch https://user:p@ss@index.example/simple\n")
	f.Fuzz(func(t *testing.T, text string) {
		job := &installation{name: "requirements.txt", platform: "linux/amd64", python: "3.11"}
		if judgeInstall(job, text, false).Error() == "" {
			t.Error("no error")
		}
		words := lastWords(text)
		if len(words) > 8 {
			t.Errorf("%d last words", len(words))
		}
		for _, word := range words {
			if login().MatchString(word) {
				t.Errorf("a login is in %q", word)
			}
		}
	})
}

// A base or an earlier image is somebody else's: whatever its documents say,
// it is read or refused.
func FuzzImageDocuments(f *testing.F) {
	f.Add([]byte(`{"schemaVersion": 2, "config": {}, "layers": [{"digest": "sha256:aa", "size": 1}]}`),
		[]byte(`{"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": ["sha256:bb"]}, "history": [{"comment": "towline-key: x"}, {}]}`), true)
	f.Add([]byte(`{"manifests": [{"platform": null, "mediaType": "application/vnd.oci.image.index.v1+json"}]}`), []byte("null"), false)
	f.Fuzz(func(_ *testing.T, manifest, config []byte, image bool) {
		kind := types.OCIImageIndex
		if image {
			kind = types.OCIManifestSchema1
		}
		s := source{
			root:     v1.Descriptor{MediaType: kind},
			manifest: func(v1.Descriptor) ([]byte, error) { return manifest, nil },
			blob:     func(v1.Descriptor) ([]byte, error) { return config, nil },
		}
		found, _, err := pick(s, "x", "linux/amd64")
		if err != nil {
			return
		}
		file, err := baseConfig(s, "x", found)
		if err != nil {
			return
		}
		_ = fits("x", "linux/amd64", file)
		_ = keyed(found, file)
	})
}

// A layout that somebody else wrote is read, or refused.
func FuzzLayout(f *testing.F) {
	f.Add([]byte(`{"manifests": []}`), []byte(`{"config": {}}`), []byte(`{}`), []byte(`{"layers": [{}]}`))
	f.Add([]byte(""), []byte(`{"config": {}}`), []byte(`{}`), []byte(`{"layers": [{}]}`))
	f.Fuzz(func(t *testing.T, index, manifest, config, noted []byte) {
		folder := t.TempDir()
		put := func(text []byte) v1.Descriptor {
			digest, size, err := v1.SHA256(newReader(text))
			if err != nil {
				t.Fatal(err)
			}
			writeFuzzed(t, layoutBlob(folder, digest), text)
			return v1.Descriptor{MediaType: types.DockerManifestSchema2, Digest: digest, Size: size}
		}
		put(config)
		root := put(manifest)
		if len(index) == 0 {
			text, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{root}})
			if err != nil {
				t.Fatal(err)
			}
			index = text
		}
		for name, text := range map[string][]byte{"index.json": index, "oci-layout": []byte(ociLayoutFile), "towline.json": noted} {
			writeFuzzed(t, filepath.Join(folder, name), text)
		}
		_, _ = readParcel(folder)
		_, _ = LayoutDigest(folder)
		_ = readNotes(folder)
		s := layoutShelf(folder)
		if reference, err := s.root(); err == nil {
			_, _ = s.manifest(reference)
		}
		_, _ = s.referrers(v1.Hash{})
	})
}

// What refers to an image is whatever anybody may have pushed.
func FuzzReferrers(f *testing.F) {
	f.Add([]byte(`{"manifests": [{"digest": "sha256:aa", "artifactType": "x"}]}`), []byte(`{"artifactType": "application/vnd.in-toto+json", "subject": {}, "layers": []}`))
	f.Fuzz(func(_ *testing.T, list, text []byte) {
		_, _ = listed(list)
		digest, _, _ := v1.SHA256(newReader(text))
		s := shelf{
			manifest: func(string) (document, error) { return document{text: text}, nil },
			blob:     func(v1.Hash) (io.ReadCloser, error) { return io.NopCloser(newReader(text)), nil },
		}
		_, _, _ = s.attachment(v1.Descriptor{Digest: digest}, digest)
	})
}
