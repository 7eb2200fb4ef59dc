package bundle_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

const (
	hostPlatform = runtime.GOOS + "/" + runtime.GOARCH
	stableName   = "registry.towline.localhost"
)

// write makes the files below a folder; one whose name ends in "*" may be run.
func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		mode := os.FileMode(0o644)
		if plain, ok := strings.CutSuffix(name, "*"); ok {
			name, mode = plain, 0o755
		}
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
}

// repository makes a small model repository without dependencies.
func repository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	write(t, root, map[string]string{
		"towline.yaml": "apiVersion: towline/v1\n",
		"README.md":    "# a model\n",
		"train.py":     "print('train')\n",
		"serve.py":     "print('serve')\n",
		"lib/rows.py":  "rows = 1\n",
		"tool.sh*":     "#!/bin/sh\n",
	})
	return root
}

// withWheel adds a dependency to a repository, as a wheel in a folder of its own.
func withWheel(t *testing.T, root string) {
	t.Helper()
	wheel(t, filepath.Join(root, "wheels", "towdep-1.0-py3-none-any.whl"), map[string]string{
		"towdep/__init__.py":                    "import sys\n\n\ndef answer():\n    return 42\n\n\ndef main():\n    print(answer(), sys.argv[1:])\n",
		"towdep/broken.py":                      "this is not python\n",
		"towdep/data.txt":                       "data\n",
		"towdep-1.0.dist-info/entry_points.txt": "[console_scripts]\ntowdep-answer = towdep:main\n",
	})
	write(t, root, map[string]string{
		"requirements.txt": "# pinned\n--no-index\n--find-links wheels\ntowdep==1.0\n",
		".towlineignore":   "wheels\n",
	})
}

// wheel writes a wheel with the files of one distribution.
func wheel(t *testing.T, name string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	base := strings.SplitN(filepath.Base(name), "-", 3)
	tag := strings.TrimSuffix(base[2], ".whl")
	info := base[0] + "-" + base[1] + ".dist-info/"
	all := maps.Clone(files)
	all[info+"METADATA"] = fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", base[0], base[1])
	all[info+"WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: " + tag + "\n"
	var record strings.Builder
	for _, path := range slices.Sorted(maps.Keys(all)) {
		sum := sha256.Sum256([]byte(all[path]))
		_, _ = fmt.Fprintf(&record, "%s,sha256=%s,%d\n", path, base64.RawURLEncoding.EncodeToString(sum[:]), len(all[path]))
	}
	all[info+"RECORD"] = record.String() + info + "RECORD,,\n"

	var archive bytes.Buffer
	out := zip.NewWriter(&archive)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		file, err := out.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(file, all[path]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(out.Close(), os.WriteFile(name, archive.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// action packages a repository for this host.
func action(t *testing.T, root string) plan.Package {
	t.Helper()
	a := plan.Package{
		Project: "shop", Model: "url-risk", Root: root, Path: ".", Base: "scratch", Platform: hostPlatform, Python: "3.11",
		Train: []string{"python", "train.py"}, Serve: []string{"python", "serve.py"},
		Labels:  map[string]string{"org.opencontainers.image.revision": "abc"},
		Created: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC),
		Layout:  filepath.Join(t.TempDir(), "image"),
	}
	if _, err := os.Stat(filepath.Join(root, "requirements.txt")); err == nil {
		a.Requirements = "requirements.txt"
	}
	return a
}

func options(t *testing.T) bundle.Options {
	t.Helper()
	return bundle.Options{Cache: t.TempDir(), Environ: os.Environ(), Backoff: time.Millisecond}
}

// sharedCache is a cache for the tests that are not about installing.
var sharedCache string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "bundle-test-*")
	if err != nil {
		panic(err)
	}
	sharedCache = folder
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// warm are options with the shared cache.
func warm(t *testing.T) bundle.Options {
	t.Helper()
	o := options(t)
	o.Cache = sharedCache
	return o
}

func pack(t *testing.T, o bundle.Options, a plan.Package) plan.Receipt {
	t.Helper()
	receipt, err := bundle.New(o).Package(context.Background(), a)
	if err != nil {
		t.Fatalf("Package: %v %q", err, fault.DetailsOf(err))
	}
	return receipt
}

// serve runs a real registry, behind a handler that may misbehave. It is known
// by a stable name.
func serve(t *testing.T, o bundle.Options, before func(http.ResponseWriter, *http.Request) bool) (bundle.Options, string) {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before == nil || !before(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	o.Dial = map[string]string{stableName: address}
	return o, address
}

// readJSON reads a document of a layout.
func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func blobName(layout string, digest v1.Hash) string {
	return filepath.Join(layout, "blobs", digest.Algorithm, digest.Hex)
}

// readManifest reads the layout's one image.
func readManifest(t *testing.T, layout string) (v1.Descriptor, v1.Manifest, v1.ConfigFile) {
	t.Helper()
	var index v1.IndexManifest
	var manifest v1.Manifest
	var config v1.ConfigFile
	readJSON(t, filepath.Join(layout, "index.json"), &index)
	if len(index.Manifests) != 1 {
		t.Fatalf("index.json names %d images, want 1", len(index.Manifests))
	}
	readJSON(t, blobName(layout, index.Manifests[0].Digest), &manifest)
	readJSON(t, blobName(layout, manifest.Config.Digest), &config)
	return index.Manifests[0], manifest, config
}

type member struct {
	header  tar.Header
	content string
}

// unpack reads every file of the layout's layers; a later layer wins.
func unpack(t *testing.T, layout string) map[string]member {
	t.Helper()
	_, manifest, _ := readManifest(t, layout)
	files := map[string]member{}
	for _, layer := range manifest.Layers {
		file, err := os.Open(blobName(layout, layer.Digest))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := gzip.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		for archive := tar.NewReader(plain); ; {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			files[header.Name] = member{*header, string(content)}
		}
		_ = file.Close()
	}
	return files
}

// wantFault checks kind, text and hint of an error.
func wantFault(t *testing.T, err error, kind fault.Kind, text, hint string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", text)
	}
	if fault.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("error %q of kind %d, want %q of kind %d", err, fault.KindOf(err), text, kind)
	}
	if !strings.Contains(fault.HintOf(err), hint) {
		t.Errorf("hint %q, want %q", fault.HintOf(err), hint)
	}
}

// recordEntry is what a RECORD says of a file.
func recordEntry(content string) string {
	sum := sha256.Sum256([]byte(content))
	return fmt.Sprintf("sha256=%s,%d", base64.RawURLEncoding.EncodeToString(sum[:]), len(content))
}

// copyTree copies a folder in reverse order.
func copyTree(t *testing.T, to, from string) {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(from, func(name string, item os.DirEntry, err error) error {
		if err != nil || item.IsDir() {
			return err
		}
		below, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		if info, _ := item.Info(); info.Mode()&0o100 != 0 {
			below += "*"
		}
		files[below] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, files)
}
