package runtime_test

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

// inEach runs a test once in each sandbox of this machine.
func inEach(t *testing.T, test func(*testing.T, *runtime.Process)) {
	for _, sandbox := range sandboxes() {
		t.Run("sandbox "+sandbox, func(t *testing.T) {
			test(t, newProcess(t, runtime.ProcessOptions{Sandbox: sandbox}))
		})
	}
}

func TestAProgramFindsItsImage(t *testing.T) {
	inEach(t, func(t *testing.T, p *runtime.Process) {
		optML := t.TempDir()
		if err := os.WriteFile(optML+"/in", []byte("data"), 0o644); err != nil {
			t.Fatal(err)
		}
		code, said := run(t, p, runtime.Spec{OptML: optML, Image: python(t, `
import os, sys, helper, subprocess
ml = os.environ.get("TOWLINE_OPT_ML", "/opt/ml")
assert sys.version_info[:2] == (3, 11), sys.version
assert helper.WHO == "the image"
assert open("data.txt").read() == "of the program\n", os.getcwd()
assert subprocess.check_output(["python", "-c", "import sys; print(sys.version_info[1])"]) == b"11\n"
with open(ml + "/out", "w") as f: f.write(open(ml + "/in").read())
print("to stdout"); print("to stderr", file=sys.stderr)
sys.exit(3)
`)})
		if code != 3 || !strings.Contains(said, "to stdout\n") || !strings.Contains(said, "to stderr\n") {
			t.Errorf("the program ended with %d and said %q", code, said)
		}
		if got, err := os.ReadFile(optML + "/out"); err != nil || string(got) != "data" {
			t.Errorf("out holds %q, %v, want data", got, err)
		}
	})
}

func TestAProgramFindsNoPackagesOfTheHost(t *testing.T) {
	inEach(t, func(t *testing.T, p *runtime.Process) {
		code, said := run(t, p, runtime.Spec{Image: python(t, `
import sys
try:
    import pip
except ImportError:
    sys.exit(0)
sys.exit("found " + pip.__file__)
`)})
		if code != 0 {
			t.Errorf("the program %s", said)
		}
	})
}

func TestVariables(t *testing.T) {
	host := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/home/someone", "LANG=C.UTF-8", "LC_TIME=C", "OMP_NUM_THREADS=2",
		"AWS_SECRET_ACCESS_KEY=leak", "CI_JOB_TOKEN=leak", "SSH_AUTH_SOCK=leak", "HTTPS_PROXY=leak", "PYTHONSTARTUP=leak",
	}
	image := configured(t, v1.Config{Env: []string{"PATH=/opt/towline/bin", "PYTHONPATH=/opt/towline/lib", "FROM_IMAGE=image", "BOTH=image"}, WorkingDir: "/opt"},
		layer(t, folder("opt/towline/lib"), file("opt/towline/bin/train", "#!/usr/bin/env python3.11\nimport json, os; print(json.dumps(dict(os.environ)))\n")))
	for _, sandbox := range sandboxes() {
		t.Run(sandbox, func(t *testing.T) {
			p := newProcess(t, runtime.ProcessOptions{Sandbox: sandbox, Environ: host})
			_, said := run(t, p, runtime.Spec{Image: image, Env: map[string]string{"BOTH": "service", "FROM_SERVICE": "service"}})
			var got map[string]string
			if err := json.Unmarshal([]byte(said), &got); err != nil {
				t.Fatalf("the program said %q: %v", said, err)
			}
			if strings.Contains(said, "leak") {
				t.Errorf("the program sees a credential: %s", said)
			}
			want := map[string]string{
				"LANG": "C.UTF-8", "LC_TIME": "C", "OMP_NUM_THREADS": "2", "PYTHONDONTWRITEBYTECODE": "1",
				"FROM_IMAGE": "image", "FROM_SERVICE": "service", "BOTH": "service",
			}
			root := ""
			if sandbox == "bwrap" {
				want["HOME"], want["TMPDIR"], want["TOWLINE_ROOT"], want["TOWLINE_OPT_ML"] = "/tmp", "/tmp", "", ""
			} else {
				root = got["TOWLINE_ROOT"]
				want["HOME"] = "/home/someone"
			}
			want["PYTHONPATH"] = root + "/opt/towline/lib"
			for name, value := range want {
				if got[name] != value {
					t.Errorf("%s = %q, want %q", name, got[name], value)
				}
			}
			if first := filepath.SplitList(got["PATH"])[0]; first != root+"/opt/towline/bin" {
				t.Errorf("PATH begins with %s, want %s", first, root+"/opt/towline/bin")
			}
		})
	}
}

func TestPrograms(t *testing.T) {
	say := func(shebang string) string { return shebang + "\nimport sys; print('ran', *sys.argv[1:])\n" }
	files := layer(t,
		file("opt/towline/bin/train", say("#!/usr/bin/env python3.11")),
		file("opt/program/relative", say("#!/usr/bin/env -S python3.11 -u")),
		file("opt/other/absolute", say("#!/usr/local/bin/python3.11")),
		file("usr/local/bin/elsewhere", say("#!/usr/bin/env python3")),
		file("opt/towline/bin/shell", "#!/bin/sh\necho ran $*\n"),
		file("opt/towline/bin/plain", "no program"),
		symlink("opt/towline/bin/link", "train"),
		file("opt/program/script.py", "import sys; print('ran', *sys.argv[1:])"),
	)
	tests := []struct {
		name       string
		entrypoint []string
		cmd        []string
		args       []string
		want       string
		entry      []string
	}{
		{"a name on the image's PATH", nil, nil, []string{"train"}, "ran", nil},
		{"arguments follow", nil, nil, []string{"train", "a", "b c"}, "ran a b c", nil},
		{"an absolute path", nil, nil, []string{"/opt/other/absolute", "x"}, "ran x", nil},
		{"a path from the working folder", nil, nil, []string{"./relative", "x"}, "ran x", nil},
		{"a program that does not lie under /opt", nil, nil, []string{"elsewhere", "x"}, "ran x", nil},
		{"a shell script", nil, nil, []string{"shell", "x"}, "ran x", nil},
		{"a link within the image", nil, nil, []string{"link"}, "ran", nil},
		{"the image's entrypoint comes first", []string{"/opt/other/absolute", "first"}, []string{"unused"}, []string{"train"}, "ran first train", nil},
		{"the image's own command stands in for none", nil, []string{"shell", "by", "default"}, []string{}, "ran by default", nil},
		{"an entrypoint that is Python itself", []string{"python", "script.py"}, nil, []string{"train"}, "ran train", nil},
		{"another entrypoint than the image's", []string{"/opt/other/absolute", "first"}, []string{"unused"}, []string{}, "ran second", []string{"/opt/other/absolute", "second"}},
	}
	inEach(t, func(t *testing.T, p *runtime.Process) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				image := configured(t, v1.Config{
					Entrypoint: tt.entrypoint, Cmd: tt.cmd, WorkingDir: "/opt/program",
					Env:    []string{"PATH=/opt/towline/bin:/usr/local/bin"},
					Labels: map[string]string{"org.towline.python": "3.11"},
				}, files)
				code, said := run(t, p, runtime.Spec{Image: image, Args: tt.args, Entry: tt.entry})
				if code != 0 || strings.TrimSpace(said) != tt.want {
					t.Errorf("the program ended with %d and said %q, want %q", code, said, tt.want)
				}
			})
		}
	})
}

func TestProgramsThatCannotRun(t *testing.T) {
	files := layer(t,
		file("opt/towline/bin/plain", "no program"),
		file("opt/towline/bin/future", "#!/usr/bin/env python3.99\n"),
		file("opt/towline/bin/labelled", "#!/usr/bin/env python3\n"),
		file("opt/towline/bin/perlish", "#!/usr/bin/env no-such-interpreter\n"),
		file("opt/towline/bin/nobody", "#!   \n"),
		symlink("opt/towline/bin/out", "/bin/true"),
	)
	image := configured(t, v1.Config{Env: []string{"PATH=/opt/towline/bin"}, Labels: map[string]string{"org.towline.python": "3.98"}}, files)
	for _, tt := range []struct {
		name string
		args []string
		want string
		hint string
	}{
		{"no such program", []string{"train"}, "run train: the image has no program train", "package the model again; its image must have an executable train on its PATH"},
		{"a file that is not executable", []string{"plain"}, "run plain: the image has no program plain", "package the model again; its image must have an executable plain on its PATH"},
		{"a path that climbs out", []string{"/../../../../bin/true"}, "run /../../../../bin/true: the image has no program /../../../../bin/true", "package the model again; its image must have an executable /../../../../bin/true on its PATH"},
		{"a link to a program of the host", []string{"out"}, "run out: the image has no program out", "package the model again; its image must have an executable out on its PATH"},
		{"no Python of the shebang's version", []string{"future"}, "run future: no Python 3.99 on this machine", "install Python 3.99 or set image.python in towline.yaml"},
		{"no Python of the label's version", []string{"labelled"}, "run labelled: no Python 3.98 on this machine", "install Python 3.98 or set image.python in towline.yaml"},
		{"no such interpreter", []string{"perlish"}, "run perlish: no program no-such-interpreter on this machine, which the image's /opt/towline/bin/perlish needs", ""},
		{"a shebang of nothing", []string{"nobody"}, "run nobody: read /opt/towline/bin/nobody of the image: its first line names no interpreter", ""},
		{"nothing at all", nil, "run job: no program was named, and the image has none of its own", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProcess(t, runtime.ProcessOptions{Sandbox: "none"})
			_, err := p.Run(t.Context(), runtime.Spec{Name: "job", Image: image, Args: tt.args, OptML: t.TempDir()})
			if err == nil || err.Error() != tt.want || fault.HintOf(err) != tt.hint || fault.KindOf(err) != fault.Missing {
				t.Errorf("Run(%q) = %v (hint %q, kind %d)\nwant %s (hint %q, kind %d)", tt.args, err, fault.HintOf(err), fault.KindOf(err), tt.want, tt.hint, fault.Missing)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	if _, err := runtime.NewProcess(runtime.ProcessOptions{Cache: t.TempDir(), Sandbox: "jail"}); fault.KindOf(err) != fault.Usage {
		t.Errorf("NewProcess() with sandbox jail = %v, want a usage error", err)
	}
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := runtime.NewProcess(runtime.ProcessOptions{Cache: blocked}); fault.KindOf(err) != fault.Missing {
		t.Errorf("NewProcess() with a file as cache = %v, want an error of kind missing", err)
	}
	p := newProcess(t, runtime.ProcessOptions{Sandbox: "none"})
	_, err := p.Run(t.Context(), runtime.Spec{Name: "job", Image: python(t, ""), Args: []string{"train"}, OptML: "/no/such/folder"})
	if want := "run train: no folder /no/such/folder to stand for /opt/ml"; err == nil || err.Error() != want {
		t.Errorf("Run() = %v, want %s", err, want)
	}
}

func TestAMachineWithoutBubblewrap(t *testing.T) {
	broken := t.TempDir()
	if err := os.WriteFile(broken+"/bwrap", []byte("#!/bin/sh\necho 'bwrap: no namespaces here' >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	image := imageOf(t, layer(t, script("echo ran")))
	for name, path := range map[string]string{"none is installed": "/nowhere", "it cannot be used": broken} {
		t.Run(name, func(t *testing.T) {
			auto := newProcess(t, runtime.ProcessOptions{Environ: []string{"PATH=" + path}})
			if code, said := run(t, auto, runtime.Spec{Image: image}); code != 0 || said != "ran\n" {
				t.Errorf("the program ended with %d and said %q", code, said)
			}
			asked := newProcess(t, runtime.ProcessOptions{Environ: []string{"PATH=" + path}, Sandbox: "bwrap"})
			_, err := asked.Run(t.Context(), runtime.Spec{Name: "job", Image: image, Args: []string{"train"}, OptML: t.TempDir()})
			if fault.KindOf(err) != fault.Missing || !strings.HasPrefix(err.Error(), "run train: use a sandbox: ") {
				t.Errorf("Run() = %v, want an error of kind missing", err)
			}
		})
	}
}

func TestASandboxThatBreaksDown(t *testing.T) {
	broken := tools(t, map[string]string{"bwrap": `case "$*" in *json-status-fd*) echo "bwrap: no room for a sandbox" >&2; exit 1;; esac`})
	p := newProcess(t, runtime.ProcessOptions{Environ: []string{"PATH=" + broken}})
	task := begin(t, p, runtime.Spec{Image: imageOf(t, layer(t, script("exit 0")))}, io.Discard)
	_, err := task.Wait()
	want := "the sandbox ended with exit code 1 before the program ran: bwrap: no room for a sandbox"
	if err == nil || err.Error() != want || fault.KindOf(err) != fault.Remote {
		t.Errorf("Wait() = %v, want %s", err, want)
	}
}

func TestTheImageCannotBeChangedInTheSandbox(t *testing.T) {
	for _, sandbox := range sandboxes() {
		if sandbox == "none" {
			continue // as root nothing holds a process back there
		}
		p := newProcess(t, runtime.ProcessOptions{Sandbox: sandbox})
		code, said := run(t, p, runtime.Spec{Image: python(t, `
import os
for path in "/opt/program/data.txt", "/opt/program/new", "/opt/new", "/etc/towline-was-here", "/towline-was-here":
    try:
        open(path, "w").close()
        print("could write", path)
    except OSError:
        pass
for path in "/tmp/new", "/opt/ml/new", "/dev/shm/new":
    open(path, "w").close()
`)})
		if code != 0 || said != "" {
			t.Errorf("the program ended with %d and said %q", code, said)
		}
	}
}
