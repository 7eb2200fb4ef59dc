package runtime_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

// script is a train program that needs nothing but a shell.
func script(body string) entry { return file("opt/towline/bin/train", "#!/bin/sh\n"+body+"\n") }

// unpacked runs an image's train program and returns its root tree.
func unpacked(t *testing.T, cache string, image v1.Image) (string, error) {
	t.Helper()
	p := newProcess(t, runtime.ProcessOptions{Cache: cache, Sandbox: "none"})
	task, err := p.Run(t.Context(), runtime.Spec{Name: "job", Image: image, Args: []string{"train"}, OptML: t.TempDir()})
	if err != nil {
		return "", err
	}
	if code, err := task.Wait(); code != 0 || err != nil {
		t.Fatalf("Wait() = %d, %v", code, err)
	}
	id, err := image.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(cache, "runtime", "roots", id.Hex, "tree"), nil
}

func TestHostileLayersAreRefused(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.MkdirAll(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("untouched"), 0o644); err != nil {
		t.Fatal(err)
	}
	deep := strings.Repeat("a/", 200) + "file"

	for _, tt := range []struct {
		name    string
		entries []entry
		want    string
	}{
		{"a name that climbs out", []entry{file("../escape", "x")}, `entry "../escape": its name leads out of the image`},
		{"a name that climbs out from within", []entry{file("opt/../../escape", "x")}, "its name leads out of the image"},
		{"an absolute name that climbs out", []entry{file("/../escape", "x")}, "its name leads out of the image"},
		{"a folder that climbs out", []entry{folder("../escape/")}, "its name leads out of the image"},
		{"a link out, then a file through it", []entry{symlink("out", outside), file("out/secret", "x")}, "out is a file or a link already, not a folder"},
		{"a relative link out, then a file through it", []entry{symlink("out", "../../../../../../../../"+outside), file("out/secret", "x")}, "not a folder"},
		{"a link out, then a folder through it", []entry{symlink("out", outside), folder("out/new")}, "not a folder"},
		{"a link out, then a link through it", []entry{symlink("out", outside), symlink("out/new", "x")}, "not a folder"},
		{"a link out, then a whiteout through it", []entry{symlink("out", outside), file("out/.wh.secret", "")}, "not a folder"},
		{"a link inside, then a file through it", []entry{folder("opt"), symlink("in", "opt"), file("in/file", "x")}, "not a folder"},
		{"a folder in the place of a link", []entry{symlink("out", outside), folder("out")}, "not a folder"},
		{"a hard link that climbs out", []entry{hardlink("passwd", "../../../../etc/passwd")}, "its name leads out of the image"},
		{"a hard link to a file of the host", []entry{hardlink("passwd", "/etc/passwd")}, `it links to "/etc/passwd", which this layer does not hold`},
		{"a hard link through a link out", []entry{symlink("out", outside), hardlink("stolen", "out/secret")}, "which this layer does not hold"},
		{"a hard link to a link out", []entry{symlink("out", secret), hardlink("stolen", "out")}, "which is no file of this layer"},
		{"a hard link to a folder", []entry{folder("opt"), hardlink("copy", "opt")}, "which is no file of this layer"},
		{"a file in the place of a folder", []entry{folder("opt/program"), file("opt/program", "x")}, "it is a folder already"},
		{"a file below a file", []entry{file("opt", "x"), file("opt/program", "x")}, "opt is a file or a link already, not a folder"},
		{"a whiteout of the folder above", []entry{file("opt/.wh...", "")}, "it is a whiteout of no file"},
		{"a whiteout of the folder itself", []entry{file("opt/.wh..", "")}, "it is a whiteout of no file"},
		{"a whiteout of nothing", []entry{file("opt/.wh.", "")}, "it is a whiteout of no file"},
		{"a file below a whiteout", []entry{file("opt/.wh.old/file", "x")}, "is a whiteout, not a folder"},
		{"folders without end", []entry{file(deep, "x")}, "its name is too long"},
		{"a name without end", []entry{file(strings.Repeat("n", 3000), "x")}, "its name is too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cache := t.TempDir()
			_, err := unpacked(t, cache, imageOf(t, layer(t, tt.entries...)))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run() = %v, want an error with: %s", err, tt.want)
			}
			if kind := fault.KindOf(err); kind != fault.Remote {
				t.Errorf("Run() = %v of kind %d, want %d", err, kind, fault.Remote)
			}
			nothingLeft(t, cache)
			if got, _ := os.ReadFile(secret); string(got) != "untouched" || len(names(t, outside)) != 1 {
				t.Errorf("outside there is %q: %q", names(t, outside), got)
			}
		})
	}
}

// nothingLeft checks that a failed unpacking leaves nothing in the cache.
func nothingLeft(t *testing.T, cache string) {
	t.Helper()
	for _, kind := range []string{"layers", "roots", "tmp"} {
		if left := names(t, filepath.Join(cache, "runtime", kind)); len(left) > 0 {
			t.Errorf("the cache holds %s/%v", kind, left)
		}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(cache), "escape")); err == nil {
		t.Error("a file escaped beside the cache")
	}
}

// hole is an archive of one file that declares a size and holds nothing: a
// sparse file in GNU's old format.
func hole(size int64) []byte {
	header := make([]byte, 512)
	copy(header, "hole")
	copy(header[100:], "0000644\x00")
	copy(header[124:], "00000000000\x00")
	copy(header[136:], "00000000000\x00")
	header[156] = tar.TypeGNUSparse
	copy(header[257:], "ustar  \x00")
	copy(header[386:], fmt.Sprintf("%011o\x00%011o\x00", size, 0))
	copy(header[483:], fmt.Sprintf("%011o\x00", size))
	copy(header[148:], "        ")
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
	return append(header, make([]byte, 1024)...)
}

func TestLayersThatDoNotHoldWhatTheyDeclare(t *testing.T) {
	whole := archive(t, file("opt/big", strings.Repeat("content ", 1<<17)))
	huge := archive(t, file("opt/huge", "tiny"))
	copy(huge[124:], "77777777777\x00") // 8 GiB less one, with the checksum mended
	copy(huge[148:], "        ")
	sum := 0
	for _, b := range huge[:512] {
		sum += int(b)
	}
	copy(huge[148:], fmt.Sprintf("%06o\x00 ", sum))

	for _, tt := range []struct {
		name  string
		layer v1.Layer
		want  string
	}{
		{"a hole of 8 GiB", layerOf(t, hole(8<<30-1)), "it declares more bytes than the layer holds"},
		{"a size beyond the archive's end", layerOf(t, huge), "unexpected EOF"},
		{"an archive cut short", layerOf(t, whole[:len(whole)/2]), "unexpected EOF"},
		{"no archive", layerOf(t, bytes.Repeat([]byte("no archive "), 100)), "invalid tar header"},
		{"a compressed stream cut short", altered{Layer: layerOf(t, whole), stream: func(b []byte) []byte { return b[:len(b)/2] }}, "unexpected EOF"},
		{"a compressed stream with a wrong byte", altered{Layer: layerOf(t, whole), stream: func(b []byte) []byte { b[len(b)/2] ^= 0xff; return b }}, "unpack layer"},
		{"other content than its id says", altered{Layer: layerOf(t, whole), stream: func([]byte) []byte { return zipped(archive(t, file("opt/evil", "x"))) }}, "found content of id sha256:"},
		{"content after the archive's end", altered{Layer: layerOf(t, whole), stream: func([]byte) []byte { return zipped(append(whole[:len(whole):len(whole)], "more"...)) }}, "found content of id sha256:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cache := t.TempDir()
			_, err := unpacked(t, cache, imageOf(t, tt.layer))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run() = %v, want an error with: %s", err, tt.want)
			}
			nothingLeft(t, cache)
		})
	}
}

// altered is a layer whose stored bytes are not those of its id.
type altered struct {
	v1.Layer
	stream func([]byte) []byte
}

func (a altered) Compressed() (io.ReadCloser, error) {
	r, err := a.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(a.stream(data))), r.Close()
}

func zipped(data []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, _ = w.Write(data) // a buffer takes all
	_ = w.Close()
	return buf.Bytes()
}

func TestRootTrees(t *testing.T) {
	for _, tt := range []struct {
		name   string
		layers [][]entry
		want   []string
	}{
		{
			"a name with a leading slash or dot lies below the image's root",
			[][]entry{{file("/etc/one", "1"), file("./etc/two", "2"), folder("./")}},
			[]string{"etc/one", "etc/two"},
		},
		{
			"devices and pipes are left out",
			[][]entry{{special("dev/null", tar.TypeChar), special("dev/sda", tar.TypeBlock), special("run/pipe", tar.TypeFifo), file("kept", "")}},
			[]string{"dev/", "kept", "run/"},
		},
		{
			"the last of equal names wins",
			[][]entry{{file("twice", "1"), file("twice", "2"), symlink("link", "/etc/passwd"), file("link", "3"), folder("d"), folder("d")}},
			[]string{"d/", "link", "twice"},
		},
		{
			"links are kept as they are",
			[][]entry{{file("lib/a", "x"), hardlink("lib/b", "lib/a"), hardlink("lib/a", "lib/a"), symlink("bin", "usr/bin"), symlink("out", "../../../etc/passwd")}},
			[]string{"bin -> usr/bin", "lib/a", "lib/b", "out -> ../../../etc/passwd"},
		},
		{
			"an upper layer's file stands for a lower one's",
			[][]entry{{file("a/x", "1"), file("a/y", "1")}, {file("a/x", "2")}},
			[]string{"a/x", "a/y"},
		},
		{
			"a whiteout takes a file or a folder of a lower layer away",
			[][]entry{{file("a/x", "1"), file("a/y", "1"), file("b/c/z", "1")}, {file("a/.wh.x", ""), file("b/.wh.c", "")}},
			[]string{"a/y", "b/"},
		},
		{
			"a whiteout does not touch its own layer",
			[][]entry{{file("a/x", "1")}, {file("a/x", "2"), file("a/.wh.x", "")}},
			[]string{"a/x"},
		},
		{
			"an opaque folder hides what lies below",
			[][]entry{{file("a/x", "1"), file("a/b/y", "1")}, {file("a/new", "2"), file("a/.wh..wh..opq", "")}},
			[]string{"a/new"},
		},
		{
			"a folder takes the place of a lower layer's link, which nothing goes through",
			[][]entry{{symlink("a", "/etc")}, {file("a/towline-was-here", "2")}},
			[]string{"a/towline-was-here"},
		},
		{
			"a file takes the place of a lower layer's folder",
			[][]entry{{file("a/b/x", "1")}, {file("a/b", "2")}},
			[]string{"a/b"},
		},
		{
			"one layer twice is one layer",
			[][]entry{{file("a", "1")}, {file("b", "1")}, {file("a", "1")}},
			[]string{"a", "b"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			layers := []v1.Layer{layer(t, script("exit 0"))}
			for _, entries := range tt.layers {
				layers = append(layers, layer(t, entries...))
			}
			tree, err := unpacked(t, t.TempDir(), imageOf(t, layers...))
			if err != nil {
				t.Fatalf("Run() = %v", err)
			}
			got := names(t, tree)
			got = remove(got, "opt/towline/bin/train")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("the tree differs (-want +got):\n%s", diff)
			}
			checkContents(t, tree, len(tt.layers))
		})
	}
}

// checkContents checks that the files that two layers have are the upper one's.
func checkContents(t *testing.T, tree string, layers int) {
	t.Helper()
	if layers != 2 {
		return
	}
	for _, name := range []string{"a/x", "a/b", "a/new"} {
		if info, err := os.Lstat(filepath.Join(tree, name)); err != nil || info.IsDir() {
			continue
		}
		if got, err := os.ReadFile(filepath.Join(tree, name)); err != nil || string(got) != "2" {
			t.Errorf("%s holds %q, %v, want the upper layer's", name, got, err)
		}
	}
}

func remove(list []string, item string) []string {
	var rest []string
	for _, s := range list {
		if s != item {
			rest = append(rest, s)
		}
	}
	return rest
}

func TestSharedFilesCannotBeWritten(t *testing.T) {
	setuid := file("opt/program/tool", "#!/bin/sh\n")
	setuid.header.Mode = 0o6777
	private := file("opt/program/private", "x")
	private.header.Mode = 0o600
	tree, err := unpacked(t, t.TempDir(), imageOf(t, layer(t, script("exit 0"), setuid, private)))
	if err != nil {
		t.Fatalf("Run() = %v", err)
	}
	for name, want := range map[string]os.FileMode{
		"opt/program/tool":    0o555,
		"opt/program/private": 0o444,
	} {
		info, err := os.Stat(filepath.Join(tree, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s has mode %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

func TestImagesShareTheFilesOfTheirLayers(t *testing.T) {
	cache := t.TempDir()
	library := layer(t, file("opt/towline/lib/big.py", "x = 1\n"), script("exit 0"))
	one, err := unpacked(t, cache, imageOf(t, library, layer(t, file("opt/program/train.py", "1"))))
	if err != nil {
		t.Fatal(err)
	}
	two, err := unpacked(t, cache, imageOf(t, library, layer(t, file("opt/program/train.py", "2"))))
	if err != nil {
		t.Fatal(err)
	}
	a, errA := os.Stat(one + "/opt/towline/lib/big.py")
	b, errB := os.Stat(two + "/opt/towline/lib/big.py")
	if errA != nil || errB != nil || one == two || !os.SameFile(a, b) {
		t.Errorf("%s and %s do not share big.py: %v, %v", one, two, errA, errB)
	}
}

func TestCompressions(t *testing.T) {
	plain := archive(t, script("exit 0"), file("opt/program/data", strings.Repeat("x", 3<<20)))
	for name, stream := range map[string]func([]byte) []byte{
		"plain": func([]byte) []byte { return plain },
		"gzip":  func([]byte) []byte { return zipped(plain) },
		"zstd": func([]byte) []byte {
			w, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			return w.EncodeAll(plain, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			tree, err := unpacked(t, t.TempDir(), imageOf(t, altered{Layer: layerOf(t, plain), stream: stream}))
			if err != nil {
				t.Fatalf("Run() = %v", err)
			}
			if info, err := os.Stat(tree + "/opt/program/data"); err != nil || info.Size() != 3<<20 {
				t.Errorf("data: %v, %v", info, err)
			}
		})
	}
}

// counted counts how often its content was read, and fails the first times.
type counted struct {
	v1.Layer
	reads *atomic.Int32
	fail  int32
	with  error
}

var errBroken = errors.New("the registry went away")

func (c counted) Compressed() (io.ReadCloser, error) {
	r, err := c.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	if c.reads.Add(1) <= c.fail {
		return io.NopCloser(io.MultiReader(io.LimitReader(r, 700), broken{c.with})), nil
	}
	return r, nil
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func TestConcurrentTasksUnpackOnce(t *testing.T) {
	var reads atomic.Int32
	image := imageOf(t, counted{Layer: layer(t, script("exit 0"), file("opt/program/data", strings.Repeat("x", 5<<20))), reads: &reads})
	cache := t.TempDir()
	p := newProcess(t, runtime.ProcessOptions{Cache: cache, Sandbox: "none"})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			task, err := p.Run(t.Context(), runtime.Spec{Name: "job", Image: image, Args: []string{"train"}, OptML: cache})
			if err != nil {
				t.Errorf("Run() = %v", err)
				return
			}
			if code, err := task.Wait(); code != 0 || err != nil {
				t.Errorf("Wait() = %d, %v", code, err)
			}
		})
	}
	all.Wait()
	if got := reads.Load(); got != 1 {
		t.Errorf("the layer was read %d times, want once", got)
	}
}

func TestRuntimesThatShareACache(t *testing.T) {
	image := imageOf(t, layer(t, script("exit 0"), file("opt/program/data", strings.Repeat("x", 5<<20))))
	cache := t.TempDir()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := unpacked(t, cache, image); err != nil {
				t.Errorf("Run() = %v", err)
			}
		})
	}
	all.Wait()
	if left := names(t, filepath.Join(cache, "runtime", "tmp")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestAnUnpackingThatBrokeOffIsDoneAgain(t *testing.T) {
	var reads atomic.Int32
	image := imageOf(t, counted{Layer: layer(t, file("opt/program/data", strings.Repeat("x", 1<<20)), script("exit 0")), reads: &reads, fail: 1, with: errBroken})
	cache := t.TempDir()
	if _, err := unpacked(t, cache, image); !errors.Is(err, errBroken) {
		t.Errorf("Run() = %v, want %v", err, errBroken)
	}
	nothingLeft(t, cache)
	if _, err := unpacked(t, cache, image); err != nil {
		t.Errorf("Run() again = %v", err)
	}
}

func TestAFullDisk(t *testing.T) {
	full := layer(t, file("opt/program/data", strings.Repeat("x", 1<<20)))
	image := imageOf(t, counted{Layer: full, reads: new(atomic.Int32), fail: 1, with: syscall.ENOSPC})
	_, err := unpacked(t, t.TempDir(), image)
	id, idErr := full.DiffID()
	want := fmt.Sprintf(`run train: unpack layer %s: entry "opt/program/data": no space left on device`, id.Hex[:12])
	hint := "free some space, or set TOWLINE_CACHE to a folder on a larger disk"
	if idErr != nil || err == nil || err.Error() != want || fault.HintOf(err) != hint || fault.KindOf(err) != fault.Remote {
		t.Errorf("Run() = %v (hint %q, kind %d)\nwant %s (hint %q, kind %d)", err, fault.HintOf(err), fault.KindOf(err), want, hint, fault.Remote)
	}
}

// FuzzLayers unpacks whatever comes: it may be refused, but nothing may be
// written beside the cache, and a refused layer leaves nothing.
func FuzzLayers(f *testing.F) {
	for _, entries := range [][]entry{
		{script("exit 0")},
		{file("../escape", "x")},
		{symlink("out", "/tmp"), file("out/escape", "x")},
		{symlink("out", "../../../.."), hardlink("in", "out/escape")},
		{file("a/x", "1"), hardlink("a/y", "a/x"), file("a/.wh.x", ""), file("a/.wh..wh..opq", "")},
		{special("dev/null", tar.TypeChar), folder("dev"), file("dev/.wh...", "")},
	} {
		f.Add(archive(f, entries...))
	}
	f.Add(hole(1 << 30))
	f.Fuzz(func(t *testing.T, data []byte) {
		world := t.TempDir()
		cache := filepath.Join(world, "1", "2", "3", "4", "5", "6", "7", "8", "cache")
		p := newProcess(t, runtime.ProcessOptions{Cache: cache, Sandbox: "none", Environ: []string{}})
		_, err := p.Run(t.Context(), runtime.Spec{Name: "job", Image: imageOf(t, layerOf(t, data)), Args: []string{"no-such-program"}, OptML: world})
		if err == nil {
			t.Fatal("Run() found a program that cannot be there")
		}
		for dir := filepath.Dir(cache); ; dir = filepath.Dir(dir) {
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
				t.Errorf("%s holds %v, %v", dir, entries, err)
			}
			if dir == world {
				break
			}
		}
		if strings.Contains(err.Error(), "unpack layer") {
			nothingLeft(t, cache)
		}
	})
}
