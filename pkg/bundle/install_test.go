package bundle_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
)

// fakeUV is a program in uv's place.
func fakeUV(t *testing.T, script string) []string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "uv")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), "TOWLINE_UV="+name)
}

func TestWhatAnInstallerSaysIsUnderstood(t *testing.T) {
	for _, tt := range []struct {
		name string
		says string
		code int
		kind fault.Kind
		want string
		hint string
		last string // of the details
	}{
		{"only a source distribution",
			"Using CPython 3.11.7 interpreter at: /usr/bin/python3.11\n" +
				"error: No solution found when resolving dependencies\n" +
				"  cause: Because docopt==0.6.2 has no usable wheels and you require docopt==0.6.2, we can conclude that your requirements are unsatisfiable.\n\n" +
				"hint: Wheels are required for `docopt` because building from source is disabled for all packages (i.e., with `--no-build`)\n", 1,
			fault.Missing, "install requirements.txt: no wheel of docopt==0.6.2 for Python 3.11 on " + hostPlatform, "--find-links",
			"hint: Wheels are required for `docopt` because building from source is disabled for all packages (i.e., with `--no-build`)"},
		{"no wheel for this Python",
			"error: No solution found when resolving dependencies\n" +
				"  cause: Because numpy==1.10.0 has no wheels with a matching Python ABI tag (e.g., `cp311`) and you require numpy==1.10.0, …\n", 1,
			fault.Missing, "no wheel of numpy==1.10.0 for Python 3.11", "choose a version", ""},
		{"no such package",
			"error: No solution found when resolving dependencies\n" +
				"  cause: Because nunpy was not found in the package registry and you require nunpy==1, we can conclude that …\n", 1,
			fault.Missing, "nunpy is not in the package index", "correct its name", ""},
		{"no such version",
			"error: No solution found when resolving dependencies\n" +
				"  cause: Because there is no version of numpy==99.0 and you require numpy==99.0, we can conclude that …\n", 1,
			fault.Missing, "numpy==99.0 is not in the package index", "version", ""},
		{"no network",
			"error: Request failed after 3 retries in 12.1s\n  cause: Failed to fetch: https://user:pass@index.example/simple/x/\n  cause: client error (Connect)\n", 2,
			fault.Remote, "install requirements.txt: the package index is out of reach", "network", "  cause: client error (Connect)"},
		{"a hash that does not match",
			"error: Failed to download `x==1`\n  cause: Hash mismatch for `x==1`\n", 1,
			fault.Repository, "a package does not match its hash", "why the package has changed", ""},
		{"a line that is no requirement",
			"error: Couldn't parse requirement in `requirements.txt` at position 0\n", 2,
			fault.Repository, "a line is no requirement", "correct the line", ""},
		{"a full disk",
			"error: Failed to install: x.whl\n  cause: failed to copy file: No space left on device (os error 28)\n", 2,
			fault.Remote, "install requirements.txt: no space left on device", "TOWLINE_CACHE", ""},
		{"no Python at all",
			"error: No interpreter found in virtual environments, managed installations, or search path\n", 2,
			fault.Missing, "uv finds no Python on this host", "install Python 3.11", ""},
		{"pip's words for a missing wheel",
			"ERROR: Could not find a version that satisfies the requirement docopt==0.6.2 (from versions: none)\nERROR: No matching distribution found for docopt==0.6.2\n", 1,
			fault.Missing, "no wheel of docopt==0.6.2", "choose a version", "ERROR: No matching distribution found for docopt==0.6.2"},
		{"versions that contradict each other",
			"error: No solution found when resolving dependencies\n" +
				"  cause: Because you require numpy==2.4.6 and numpy==2.4.5, we can conclude that your requirements are unsatisfiable.\n", 1,
			fault.Repository, "what it asks for contradicts itself", "one of the versions", ""},
		{"a dependency that has to be built", "error: Building source distributions is disabled, but attempted to build `lib`\n", 1,
			fault.Repository, "a dependency has to be built, and only wheels are installed", "--find-links", ""},
		{"a repository of git that has to be built", "error: Failed to download and build `foo @ git+https://git.example/foo.git`\n", 1,
			fault.Repository, "foo @ git+https://git.example/foo.git has to be built", "build a wheel", ""},
		{"a file that is no text", "error: failed to decode file `requirements.txt`: stream did not contain valid UTF-8\n", 2,
			fault.Repository, "it is no text in UTF-8", "write the file anew", ""},
		{"something else", "error: oh no\n", 3, fault.Remote, "the installer broke down", "its last words are above", "error: oh no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := repository(t)
			withWheel(t, root)
			o, a := options(t), action(t, root)
			says := filepath.Join(t.TempDir(), "says")
			write(t, filepath.Dir(says), map[string]string{"says": tt.says})
			o.Environ = fakeUV(t, fmt.Sprintf("cat %s >&2\nexit %d\n", says, tt.code))
			_, err := bundle.New(o).Package(context.Background(), a)
			wantFault(t, err, tt.kind, tt.want, tt.hint)
			details := fault.DetailsOf(err)
			if len(details) == 0 || tt.last != "" && details[len(details)-1] != tt.last {
				t.Errorf("details %q, want the last to be %q", details, tt.last)
			}
			if strings.Contains(strings.Join(details, "\n"), "pass") {
				t.Errorf("details %q hold a password", details)
			}
			if _, err := os.Stat(a.Layout); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a layout was written: %v", err)
			}
			nothingLeft(t, o.Cache)
		})
	}
}

// nothingLeft fails if an installation has left its work folder behind.
func nothingLeft(t *testing.T, cache string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(cache, ".install-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the cache: %v, %v", left, err)
	}
}

func TestWithoutNetworkUVsOwnCacheIsTried(t *testing.T) {
	real, err := exec.LookPath("uv")
	if named := os.Getenv("TOWLINE_UV"); named != "" {
		real, err = named, nil
	}
	if err != nil {
		real = "false" // then the second attempt fails too, which is what is looked for below
	}
	root := repository(t)
	withWheel(t, root)
	o, a := options(t), action(t, root)
	var said []string
	o.Log = func(line string) { said = append(said, line) }
	o.Environ = fakeUV(t, "case \"$*\" in *--offline*) exec "+real+" \"$@\";; esac\necho 'error: dns error' >&2\nexit 2\n")
	_, failed := bundle.New(o).Package(context.Background(), a)
	if (failed == nil) != (err == nil) {
		t.Errorf("Package() = %v, want success where there is uv", failed)
	}
	if !strings.Contains(strings.Join(said, "\n"), "trying uv's own cache") {
		t.Errorf("said %q, want word of the second attempt", said)
	}
}

func TestPipStandsInForUV(t *testing.T) {
	python, err := exec.LookPath("python3.11")
	if err != nil {
		t.Fatal(err)
	}
	root := repository(t)
	withWheel(t, root)
	a := action(t, root)
	pack(t, warm(t), a)
	want := names(unpack(t, a.Layout))

	programs := t.TempDir()
	write(t, programs, map[string]string{"python3.11*": "#!/bin/sh\nexec " + python + " \"$@\"\n"})
	var environ []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "TOWLINE_UV=") && !strings.HasPrefix(entry, "PATH=") {
			environ = append(environ, entry)
		}
	}
	o := options(t)
	o.Environ = append(environ, "PATH="+programs)
	pack(t, o, a)
	files := unpack(t, a.Layout)
	if diff := cmp.Diff(want, names(files)); diff != "" {
		t.Errorf("files as installed by pip (-uv +pip):\n%s", diff)
	}
	if text := files["opt/towline/lib/bin/towdep-answer"].content; !strings.HasPrefix(text, "#!/usr/bin/env python3.11\n") {
		t.Errorf("the script begins with %.50q", text)
	}

	o = options(t)
	o.Environ = []string{"PATH=/nowhere"}
	_, err = bundle.New(o).Package(context.Background(), a)
	wantFault(t, err, fault.Missing, "found neither uv nor python3.11 with pip", "install uv")
}

// A uv that is there and cannot be started, as one for another system, is as
// good as none; one that was named is not replaced.
func TestPipStandsInForAUVThatDoesNotStart(t *testing.T) {
	root := repository(t)
	withWheel(t, root)
	programs := t.TempDir()
	write(t, programs, map[string]string{"uv*": "#!/nowhere/interpreter\n"})
	var environ, said []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "TOWLINE_UV=") {
			environ = append(environ, strings.Replace(entry, "PATH=", "PATH="+programs+":", 1))
		}
	}
	o, a := options(t), action(t, root)
	o.Log = func(line string) { said = append(said, line) }
	o.Environ = environ
	pack(t, o, a)
	if !strings.Contains(strings.Join(said, "\n"), "uv cannot be started, pip stands in") {
		t.Errorf("said %q, want word of pip", said)
	}
	o, a = options(t), action(t, root)
	o.Environ = append(environ, "TOWLINE_UV="+filepath.Join(programs, "uv"))
	_, err := bundle.New(o).Package(context.Background(), a)
	wantFault(t, err, fault.Missing, "install requirements.txt", "install uv")
}

// Where the interpreter turns out to be none there is no bytecode, and the key
// of the layers says so: who has a good one does not take them.
func TestLayersWithoutBytecodeAreKnownAsSuch(t *testing.T) {
	install := "while [ \"$1\" != --target ]; do shift; done\n/bin/mkdir -p $2/x\necho 1 > $2/x/m.py\n"
	python, err := exec.Command("python3.11", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatal(err)
	}
	good := "exec " + strings.TrimSpace(string(python)) + ` "$@"`
	for _, tt := range []struct{ name, uv, python, second string }{
		{"uv cannot work with it", "case \"$*\" in *'--python '*) echo 'error: Failed to inspect Python interpreter' >&2; exit 2;; esac\n" + install, good, "installed"},
		{"a shim with nothing behind it", install, "exit 127", "from the cache"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root, programs := repository(t), t.TempDir()
			withWheel(t, root)
			o, a := options(t), action(t, root)
			write(t, programs, map[string]string{"python3.11*": "#!/bin/sh\n" + tt.python + "\n"})
			o.Environ = append(fakeUV(t, tt.uv), "PATH="+programs)
			pack(t, o, a)
			if n := bytecode(t, a.Layout); n != 0 {
				t.Errorf("%d files of bytecode, want none", n)
			}
			if said := pack(t, o, a).Said; !strings.Contains(said, tt.second) {
				t.Errorf("the second time it said %q, want %q", said, tt.second)
			}
			write(t, programs, map[string]string{"python3.11*": "#!/bin/sh\n" + good + "\n"})
			o.Environ = append(fakeUV(t, install), "PATH="+programs)
			pack(t, o, a)
			if n := bytecode(t, a.Layout); n != 1 {
				t.Errorf("%d files of bytecode with a good interpreter, want one", n)
			}
		})
	}
}

func bytecode(t *testing.T, layout string) (n int) {
	t.Helper()
	for name := range unpack(t, layout) {
		if strings.HasSuffix(name, ".pyc") {
			n++
		}
	}
	return n
}

func names(files map[string]member) map[string]bool {
	names := map[string]bool{}
	for name := range files {
		names[name] = true
	}
	return names
}

func TestACancelStopsTheInstaller(t *testing.T) {
	root := repository(t)
	withWheel(t, root)
	o, a := options(t), action(t, root)
	o.Environ = fakeUV(t, "echo started >&2\nsleep 60\n")
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("stopped by the user")
	o.Log = func(string) { cancel(stop) }
	begun := time.Now()
	_, err := bundle.New(o).Package(ctx, a)
	if !errors.Is(err, stop) || time.Since(begun) > 20*time.Second {
		t.Errorf("Package() = %v after %s, want %v at once", err, time.Since(begun), stop)
	}
	nothingLeft(t, o.Cache)
}

func TestNativeCodeMustFitThePlatform(t *testing.T) {
	foreign, fitting := uint16(183), uint16(62) // arm64 and amd64, as ELF numbers them
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"code for this processor", map[string]string{"towdep/a.so": elfFile(fitting)}, ""},
		{"code for several processors", map[string]string{"towdep/a.so": elfFile(foreign), "towdep/b.so": elfFile(fitting)}, ""},
		{"code for another processor", map[string]string{"towdep/a.cpython-311-x86_64-linux-gnu.so": elfFile(foreign)},
			"install towdep 2.0: towdep/a.cpython-311-x86_64-linux-gnu.so is EM_AARCH64, wanted code for linux/amd64"},
		{"a library of another processor", map[string]string{"towdep/libx.so.1": elfFile(foreign)},
			"install towdep 2.0: towdep/libx.so.1 is EM_AARCH64, wanted code for linux/amd64"},
		{"foreign code in a wheel for any platform",
			map[string]string{"towdep/a.so": elfFile(foreign), "towdep-2.0.dist-info/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n"}, ""},
		{"a library of a Mac", map[string]string{"towdep/libx.dylib": "\xcf\xfa\xed\xfe\x0c\x00\x00\x01\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"},
			"install towdep 2.0: towdep/libx.dylib is no ELF file, wanted code for linux/amd64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root, installed := repository(t), t.TempDir()
			write(t, root, map[string]string{"requirements.txt": "towdep==2.0\n"})
			write(t, installed, tt.files)
			write(t, installed, map[string]string{"towdep-2.0.dist-info/RECORD": strings.Join(slices.Sorted(maps.Keys(tt.files)), ",,\n") + ",,\n"})
			o, a := options(t), action(t, root)
			o.Environ = fakeUV(t, "while [ \"$1\" != --target ]; do shift; done\ncp -R "+installed+" $2\n")
			a.Platform = "linux/amd64"
			_, err := bundle.New(o).Package(context.Background(), a)
			if tt.want != "" {
				wantFault(t, err, fault.Missing, tt.want, "linux/amd64")
			} else if err != nil {
				t.Errorf("Package() = %v", err)
			}
		})
	}
}

// elfFile is the beginning of a program for a processor.
func elfFile(machine uint16) string {
	head := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	binary.LittleEndian.PutUint16(head[16:], 3)
	binary.LittleEndian.PutUint16(head[18:], machine)
	return string(head)
}

func TestRequirementsThatCannotBeUsed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		file  string
		files map[string]string
		want  string
		hint  string
	}{
		{"no such file", "requirements.txt", nil, "no file requirements.txt", "add the file"},
		{"an empty file", "requirements.txt", map[string]string{"requirements.txt": ""}, "requirements.txt is empty", "remove image.requirements"},
		{"a lock of another tool", "poetry.lock", map[string]string{"poetry.lock": "x\n"}, "read poetry.lock: wanted a requirements file, pyproject.toml or uv.lock", "poetry export"},
		{"an environment of conda", "environment.yml", map[string]string{"environment.yml": "name: x\n"}, "read environment.yml: wanted a requirements file", "pip list"},
		{"a project in poetry's own words", "pyproject.toml", map[string]string{"pyproject.toml": "[tool.poetry]\nname = \"m\"\n"}, "read pyproject.toml: it has no [project] table", "poetry export"},
		{"a folder that is to be editable", "requirements.txt", map[string]string{"requirements.txt": "-e ./lib\n"}, "install requirements.txt: ./lib is to be editable", "PYTHONPATH"},
		{"no such project", "pyproject.toml", nil, "no file pyproject.toml", "add the file"},
		{"no such lock", "uv.lock", map[string]string{"pyproject.toml": "[project]\n"}, "no file uv.lock", "add the file"},
		{"an empty lock", "uv.lock", map[string]string{"pyproject.toml": "[project]\n", "uv.lock": ""}, "uv.lock is empty", "uv lock"},
		{"an empty lock beside a project", "pyproject.toml", map[string]string{"pyproject.toml": "[project]\n", "uv.lock": ""}, "uv.lock is empty", "uv lock"},
		{"a lock without its project", "uv.lock", map[string]string{"uv.lock": "version = 1\n"}, "no pyproject.toml beside uv.lock", "made from"},
		{"a lock that is none", "uv.lock", map[string]string{"pyproject.toml": "[project]\nname = \"m\"\nversion = \"1\"\n", "uv.lock": "garbage[\n"}, "read uv.lock: it is no lock of uv", "uv lock"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := repository(t)
			write(t, root, tt.files)
			a := action(t, root)
			a.Requirements = tt.file
			_, err := bundle.New(options(t)).Package(context.Background(), a)
			wantFault(t, err, fault.Repository, tt.want, tt.hint)
		})
	}
}

// Whatever decides what is installed decides whether the cache may be used.
func TestWhatRequirementsNameBelongsToTheirKey(t *testing.T) {
	root := repository(t)
	withWheel(t, root)
	write(t, root, map[string]string{
		"requirements.txt": "--no-index\n-f wheels\n-r more.txt\n--constraint=pins.txt\n", "more.txt": "towdep\n", "pins.txt": "towdep==1.0\n",
	})
	o, a := options(t), action(t, root)
	pack(t, o, a)
	for _, tt := range []struct {
		name   string
		change func()
		reused bool
	}{
		{"nothing", func() {}, true},
		{"a file by -r", func() { write(t, root, map[string]string{"more.txt": "towdep>=1\n"}) }, false},
		{"a file by --constraint", func() { write(t, root, map[string]string{"pins.txt": "towdep>=0.1\n"}) }, false},
		{"a wheel", func() {
			wheel(t, filepath.Join(root, "wheels", "towdep-1.0-py3-none-any.whl"), map[string]string{"towdep/__init__.py": "new = 1\n"})
		}, false},
		{"a file that is not named", func() { write(t, root, map[string]string{"other.txt": "x\n"}) }, true},
	} {
		tt.change()
		if said := pack(t, o, a).Said; strings.Contains(said, "from the cache") != tt.reused {
			t.Errorf("after a change of %s: %s; want reuse: %t", tt.name, said, tt.reused)
		}
	}
}

// The compressor's version is part of every key: it must be the one that is linked.
func TestTheKeyNamesTheCompressor(t *testing.T) {
	source, err := os.ReadFile("packer.go")
	if err != nil {
		t.Fatal(err)
	}
	modules, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(modules), "github.com/klauspost/compress v")
	version := strings.Fields(after)[0]
	if want := `/klauspost-` + version + `"`; !strings.Contains(string(source), want) {
		t.Errorf("the constant compressor does not say %s", want)
	}
}

func TestOnlyCommentsNeedNoInstaller(t *testing.T) {
	root := repository(t)
	write(t, root, map[string]string{"requirements.txt": "# none yet\n"})
	o, a := options(t), action(t, root)
	o.Environ = nil
	if said := pack(t, o, a).Said; !strings.Contains(said, "no dependencies") {
		t.Errorf("said %q, want no dependencies", said)
	}
}

func TestACompilerThatBreaksDown(t *testing.T) {
	for _, tt := range []struct {
		name, script, want string
	}{
		{"a full disk", "echo 'OSError: [Errno 28] No space left on device' >&2; exit 1", "compile the dependencies: no space left on device"},
		{"a folder that cannot be written", "echo 'PermissionError: [Errno 13] Permission denied' >&2; exit 1", "compile the dependencies: python3.11 broke down"},
		{"a worker that was killed", "echo 'Traceback (most recent call last):' >&2; exit 1", "compile the dependencies: python3.11 broke down"},
		{"a Python that compiles nothing", "exit 0", ""},
		{"a shim without a Python behind it", "exit 127", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := repository(t)
			withWheel(t, root)
			o, a := options(t), action(t, root)
			programs := t.TempDir()
			write(t, programs, map[string]string{"python3.11*": "#!/bin/sh\n" + tt.script + "\n"})
			o.Environ = append(fakeUV(t, "while [ \"$1\" != --target ]; do shift; done\n/bin/mkdir -p $2/x\necho 1 > $2/x/m.py\n"),
				"PATH="+programs)
			_, err := bundle.New(o).Package(context.Background(), a)
			if tt.want != "" {
				wantFault(t, err, fault.Remote, tt.want, "")
			} else if err != nil {
				t.Errorf("Package() = %v", err)
			}
			nothingLeft(t, o.Cache)
		})
	}
}
