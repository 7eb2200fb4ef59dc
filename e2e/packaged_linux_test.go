package e2e_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/record"
)

// tinyDependency writes a wheel of one module, which the image's layers hold.
const tinyDependency = `
import base64, hashlib, os, sys, zipfile
info = "towdep-1.0.dist-info/"
files = {"towdep/__init__.py": "answer = 42\n", "towdep/more.py": "more = 1\n",
         info + "METADATA": "Metadata-Version: 2.1\nName: towdep\nVersion: 1.0\n",
         info + "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
record = "".join("%s,sha256=%s,%d\n" % (n, base64.urlsafe_b64encode(hashlib.sha256(t.encode()).digest()).rstrip(b"=").decode(), len(t)) for n, t in files.items())
files[info + "RECORD"] = record + info + "RECORD,,\n"
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
`

// What the local cloud runs as a process is what was packaged: the files below
// the running server are those of the layers of the digest in the record, made
// for this host.
func TestTheProcessRuntimeRunsWhatWasPackaged(t *testing.T) {
	dir := t.TempDir()
	tiny := filepath.Join(dir, "tiny")
	if err := errors.Join(copyTracked(tiny, filepath.Join("testdata", "tiny")), os.Mkdir(filepath.Join(tiny, "wheels"), 0o755)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("python3.11", "-c", tinyDependency, filepath.Join(tiny, "wheels", "towdep-1.0-py3-none-any.whl")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	manifest, err := os.ReadFile(filepath.Join(tiny, "towline.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"requirements.txt": "--no-index\n--find-links wheels\ntowdep==1.0\n", ".towlineignore": "wheels\n",
		"towline.yaml": strings.Replace(string(manifest), `python: "3.11"`, "python: \"3.11\"\n      requirements: requirements.txt", 1),
	} {
		if err := os.WriteFile(filepath.Join(tiny, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { stopClouds(dir) })
	for _, args := range [][]string{{"local", "up", "--detach"}, {"run"}} {
		command := exec.Command("towline", append([]string{"-C", tiny}, args...)...)
		command.Env = append(os.Environ(), "HOME="+dir, "TOWLINE_CACHE="+filepath.Join(dir, "cache"))
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("towline %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	rec := readRecord(t, tiny)
	if want := runtime.GOOS + "/" + runtime.GOARCH; rec.Image.Platform != want {
		t.Errorf("the image is for %s, want %s", rec.Image.Platform, want)
	}
	config, layers := packagedDigest(t, tiny, rec.Image.Digest)
	root := filepath.Join(dir, "cache", "runtime", "roots", config, "tree")
	pid := processIn(t, filepath.Join(root, "opt", "program"))
	running := filesBelow(t, os.DirFS(fmt.Sprintf("/proc/%d/cwd/../..", pid)), "opt/program", "opt/towline")
	if diff := cmp.Diff(layers, running); diff != "" {
		t.Errorf("files of the layers, and of the running server (-packaged +running):\n%s", diff)
	}
	for _, name := range []string{"opt/program/serve.py", "opt/towline/bin/serve", "opt/towline/lib/towdep/__init__.py"} {
		if layers[name] == "" {
			t.Errorf("the layers hold no %s", name)
		}
	}
}

func readRecord(t *testing.T, repository string) record.Record {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, ".towline", record.File))
	if err != nil {
		t.Fatal(err)
	}
	rec, err := record.Unmarshal(text)
	if err != nil || rec.Image == nil {
		t.Fatalf("no image in the record: %v", err)
	}
	return rec
}

// packagedDigest gives the configuration's digest of an image, and what its
// layers hold: path → mode and content.
func packagedDigest(t *testing.T, repository, digest string) (config string, files map[string]string) {
	t.Helper()
	blob := func(digest string) string {
		return filepath.Join(repository, ".towline", "image", "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
	}
	text, err := os.ReadFile(blob(digest))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(text); "sha256:"+hex.EncodeToString(sum[:]) != digest {
		t.Fatalf("the manifest is not %s", digest)
	}
	var manifest struct {
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for _, layer := range manifest.Layers {
		maps.Copy(files, filesOfLayer(t, blob(layer.Digest)))
	}
	return strings.TrimPrefix(manifest.Config.Digest, "sha256:"), files
}

func filesOfLayer(t *testing.T, name string) map[string]string {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	plain, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		files[header.Name] = described(t, header.FileInfo().Mode(), archive)
	}
}

// described is whether a file may be run, and the hash of its content. Whether
// it may be written is the unpacker's to decide.
func described(t *testing.T, mode fs.FileMode, content io.Reader) string {
	t.Helper()
	sum := sha256.New()
	if _, err := io.Copy(sum, content); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s run:%t sha256:%x", mode.Type(), mode&0o111 != 0, sum.Sum(nil))
}

func filesBelow(t *testing.T, root fs.FS, folders ...string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, folder := range folders {
		err := fs.WalkDir(root, folder, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			file, err := root.Open(name)
			if err != nil {
				return err
			}
			defer func() { _ = file.Close() }()
			files[name] = described(t, info.Mode(), file)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// processIn finds the server that works in a folder, by whatever path it knows it.
func processIn(t *testing.T, folder string) int {
	t.Helper()
	want, err := os.Stat(folder)
	if err != nil {
		t.Fatal(err)
	}
	list, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, name := range list {
		if is, err := os.Stat(name); err == nil && os.SameFile(want, is) {
			var pid int
			if _, err := fmt.Sscanf(name, "/proc/%d/cwd", &pid); err == nil {
				found = append(found, pid)
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("no process works in %s", folder)
	}
	return slices.Min(found)
}
