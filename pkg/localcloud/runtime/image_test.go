package runtime_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

// file is a regular file with mode 0644, or 0755 if its content is a script.
func file(name, content string) entry {
	mode := int64(0o644)
	if strings.HasPrefix(content, "#!") {
		mode = 0o755
	}
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(content))}, content}
}

func folder(name string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}, ""}
}

func symlink(name, target string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}, ""}
}

func hardlink(name, target string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target, Mode: 0o644}, ""}
}

func special(name string, kind byte) entry {
	return entry{tar.Header{Name: name, Typeflag: kind, Mode: 0o666, Devmajor: 1, Devminor: 3}, ""}
}

type entry struct {
	header  tar.Header
	content string
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		if err := w.WriteHeader(&e.header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func layerOf(t testing.TB, data []byte) v1.Layer {
	t.Helper()
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

func layer(t testing.TB, entries ...entry) v1.Layer { return layerOf(t, archive(t, entries...)) }

// imageOf is an image with the config that Towline's own images have.
func imageOf(t testing.TB, layers ...v1.Layer) v1.Image {
	t.Helper()
	return configured(t, v1.Config{
		Env:        []string{"PATH=/opt/towline/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONPATH=/opt/program:/opt/towline/lib"},
		WorkingDir: "/opt/program",
		Labels:     map[string]string{"org.towline.python": "3.11"},
	}, layers...)
}

func configured(t testing.TB, config v1.Config, layers ...v1.Layer) v1.Image {
	t.Helper()
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	image, err = mutate.Config(image, config)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// python is an image whose train program is a Python script.
func python(t testing.TB, script string) v1.Image {
	t.Helper()
	return imageOf(t, layer(t,
		folder("opt/program"),
		file("opt/program/data.txt", "of the program\n"),
		file("opt/towline/lib/helper.py", "WHO = 'the image'\n"),
		file("opt/towline/bin/train", "#!/usr/bin/env python3.11\n"+script),
	))
}

// sandboxes are the kinds that can be used on this machine.
func sandboxes() []string {
	if exec.Command("bwrap", "--ro-bind", "/", "/", "--unshare-pid", "true").Run() == nil {
		return []string{"bwrap", "none"}
	}
	return []string{"none"}
}

func newProcess(t testing.TB, o runtime.ProcessOptions) *runtime.Process {
	t.Helper()
	if o.Cache == "" {
		o.Cache = t.TempDir()
	}
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	p, err := runtime.NewProcess(o)
	if err != nil {
		t.Fatalf("NewProcess() = %v", err)
	}
	return p
}

// run runs the image's train program to its end and returns what it said.
func run(t testing.TB, p *runtime.Process, spec runtime.Spec) (code int, said string) {
	t.Helper()
	var log buffer
	task := begin(t, p, spec, &log)
	code, err := task.Wait()
	if err != nil {
		t.Fatalf("Wait() = %v; log:\n%s", err, log.String())
	}
	return code, log.String()
}

func begin(t testing.TB, p *runtime.Process, spec runtime.Spec, log io.Writer) runtime.Task {
	t.Helper()
	spec.Log = log
	if spec.Name == "" {
		spec.Name = "job"
	}
	if spec.Args == nil {
		spec.Args = []string{"train"}
	}
	if spec.OptML == "" {
		spec.OptML = t.TempDir()
	}
	task, err := p.Run(t.Context(), spec)
	if err != nil {
		t.Fatalf("Run() = %v", err)
	}
	t.Cleanup(func() { task.Stop(0) })
	return task
}

// buffer is a log that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// names lists the files below a folder, links with their targets.
func names(t testing.TB, dir string) []string {
	t.Helper()
	var all []string
	var walk func(string)
	walk = func(below string) {
		entries, err := os.ReadDir(path.Join(dir, below))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := path.Join(below, e.Name())
			switch {
			case e.IsDir():
				walk(name)
				if list, _ := os.ReadDir(path.Join(dir, name)); len(list) == 0 {
					all = append(all, name+"/")
				}
			case e.Type()&os.ModeSymlink != 0:
				target, _ := os.Readlink(path.Join(dir, name))
				all = append(all, name+" -> "+target)
			default:
				all = append(all, name)
			}
		}
	}
	walk(".")
	return all
}
