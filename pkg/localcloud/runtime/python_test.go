package runtime_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

// realPython is the interpreter behind python3.11 on this machine's PATH.
func realPython(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("python3.11", "-c", "import os, sys; print(os.path.realpath(sys.executable))").Output()
	if err != nil {
		t.Fatalf("found no python3.11: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// tools makes a folder of shell scripts.
func tools(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWhereAPythonIsFound(t *testing.T) {
	python := realPython(t)
	other := `printf '3.7\n/nowhere/python\n/nowhere\n/nowhere\n'`
	broken := "echo 'pyenv: version not installed' >&2; exit 127"
	use := func(note string) string { return fmt.Sprintf("echo %s >> $HOME/trace; exec %s \"$@\"", note, python) }
	for _, tt := range []struct {
		name    string
		scripts map[string]string
		given   string // TOWLINE_PYTHON, in the tools' folder
		want    string
	}{
		{"the one that is given, if it fits", map[string]string{"mine": use("mine"), "python3.11": use("versioned")}, "mine", "mine"},
		{"one that is given and does not fit is passed over", map[string]string{"mine": other, "python3.11": use("versioned")}, "mine", "versioned"},
		{"one that is given and is not there is passed over", map[string]string{"python3.11": use("versioned")}, "absent", "versioned"},
		{"the one of that name", map[string]string{"python3.11": use("versioned"), "python3": use("three")}, "", "versioned"},
		{"another name if that one is broken", map[string]string{"python3.11": broken, "python3": other, "python": use("bare")}, "", "bare"},
		{"one that uv knows, at last", map[string]string{"python3": other, "uv": `test "$*" = "python find --no-project 3.11" && test "$UV_PYTHON_DOWNLOADS" = never && echo ` + python}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, sandbox := range sandboxes() {
				t.Run(sandbox, func(t *testing.T) {
					home, bin := t.TempDir(), tools(t, tt.scripts)
					env := []string{"HOME=" + home, "PATH=" + bin + ":" + bwrapFolder(t)}
					if tt.given != "" {
						env = append(env, "TOWLINE_PYTHON="+filepath.Join(bin, tt.given))
					}
					p := newProcess(t, runtime.ProcessOptions{Sandbox: sandbox, Environ: env})
					image := imageOf(t, layer(t, folder("opt/program"), file("opt/towline/bin/train", "#!/usr/bin/env python3.11\nimport sys; print(sys.version_info[1])\n")))
					for range 2 { // the second time nobody is asked
						if code, said := run(t, p, runtime.Spec{Image: image}); code != 0 || said != "11\n" {
							t.Errorf("the program ended with %d and said %q", code, said)
						}
					}
					trace, _ := os.ReadFile(home + "/trace")
					if got := strings.TrimSpace(string(trace)); got != tt.want {
						t.Errorf("asked %q, want %q", got, tt.want)
					}
				})
			}
		})
	}
}

// bwrapFolder is a PATH with bubblewrap, if it is installed, and no Python.
func bwrapFolder(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("bwrap")
	if err != nil {
		return "/nowhere"
	}
	dir := t.TempDir()
	if err := os.Symlink(path, filepath.Join(dir, "bwrap")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAVirtualEnvironmentStandsForItsPython(t *testing.T) {
	venv := filepath.Join(t.TempDir(), "venv")
	if out, err := exec.Command(realPython(t), "-m", "venv", "--without-pip", venv).CombinedOutput(); err != nil {
		t.Fatalf("make a virtual environment: %v\n%s", err, out)
	}
	leaked := filepath.Join(venv, "lib/python3.11/site-packages/of_the_host.py")
	if err := os.WriteFile(leaked, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, sandbox := range sandboxes() {
		p := newProcess(t, runtime.ProcessOptions{Sandbox: sandbox, Environ: append(os.Environ(), "TOWLINE_PYTHON="+venv+"/bin/python")})
		code, said := run(t, p, runtime.Spec{Image: python(t, "import helper\ntry:\n    import of_the_host\n    print('leak')\nexcept ImportError: pass\n")})
		if code != 0 || said != "" {
			t.Errorf("in sandbox %s the program ended with %d and said %q", sandbox, code, said)
		}
	}
}

func TestTheLabelDecidesWhereTheShebangDoesNot(t *testing.T) {
	for _, tt := range []struct{ name, shebang, label, want string }{
		{"the shebang's minor version comes first", "#!/usr/bin/env python3.11", "3.98", "11\n"},
		{"the label's comes second", "#!/usr/bin/env python3", "3.11", "11\n"},
		{"it counts for a bare name too", "#!/usr/bin/python", "3.11", "11\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			image := configured(t, v1.Config{Env: []string{"PATH=/opt/bin"}, Labels: map[string]string{"org.towline.python": tt.label}},
				layer(t, file("opt/bin/train", tt.shebang+"\nimport sys; print(sys.version_info[1])\n")))
			p := newProcess(t, runtime.ProcessOptions{})
			if code, said := run(t, p, runtime.Spec{Image: image}); code != 0 || said != tt.want {
				t.Errorf("the program ended with %d and said %q, want %q", code, said, tt.want)
			}
		})
	}
	image := configured(t, v1.Config{Env: []string{"PATH=/opt/bin"}}, layer(t, file("opt/bin/train", "#!/usr/bin/env python3\nprint('any')\n")))
	if code, said := run(t, newProcess(t, runtime.ProcessOptions{}), runtime.Spec{Image: image}); code != 0 || said != "any\n" {
		t.Errorf("without any version the program ended with %d and said %q", code, said)
	}
}
