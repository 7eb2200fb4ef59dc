package runtime_test

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

// fakeEngine is a program that answers as the command lines of Docker and
// Podman are documented to: it notes each command line, keeps what it loads,
// and runs as the container what the test says.
const fakeEngine = `#!/bin/sh
printf '%s\n' "$*" >> "$FAKE/lines"
case "$1" in
ps) cat "$FAKE/ps" 2>/dev/null; exit 0;;
info) echo "[name=seccomp,profile=builtin]";;
image) test -f "$FAKE/loaded" || { echo "Error: No such image" >&2; exit 1; };;
load) cat > "$FAKE/loading" && mv "$FAKE/loading" "$FAKE/loaded"; echo "Loaded image";;
run) . "$FAKE/container";;
kill) kill -9 "$(cat "$FAKE/pid")";;
rm) rm -f "$FAKE/ps";;
*) exit 64;;
esac
`

// engine makes a runtime whose docker or podman is a fake.
func engine(t *testing.T, kind, container string) (*runtime.Engine, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{kind: fakeEngine, "container": container} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return openEngine(t, kind, dir, t.TempDir()), dir
}

func openEngine(t *testing.T, kind, dir, cache string) *runtime.Engine {
	t.Helper()
	e, err := runtime.NewEngine(t.Context(), kind, runtime.ProcessOptions{
		Cache: cache, Environ: []string{"PATH=" + dir + ":/usr/bin:/bin", "FAKE=" + dir, "HOME=/home/someone"},
	})
	if err != nil {
		t.Fatalf("NewEngine(%s) = %v", kind, err)
	}
	return e
}

// lines are the command lines that the fake was given.
func lines(t *testing.T, dir, command string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "lines"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, command+" ") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

func TestAnEngineRunsAProgram(t *testing.T) {
	for _, kind := range []string{"docker", "podman"} {
		t.Run(kind, func(t *testing.T) {
			e, dir := engine(t, kind, `echo "to stdout $OF_THE_JOB"; echo "to stderr" >&2; exit 3`)
			image := imageOf(t, layer(t, script("exit 0")))
			ml := t.TempDir()
			for range 2 {
				var log buffer
				task, err := e.Run(t.Context(), runtime.Spec{
					Name: "job", Image: image, Args: []string{"train", "-x"}, OptML: ml, Log: &log,
					Env: map[string]string{"OF_THE_JOB": "a secret", "HOME": "/root", "SAGEMAKER_BIND_TO_PORT": "8080"},
				})
				if err != nil {
					t.Fatal(err)
				}
				if code, err := task.Wait(); code != 3 || err != nil || !strings.Contains(log.String(), "to stdout a secret\n") || !strings.Contains(log.String(), "to stderr\n") {
					t.Errorf("it ended with %d, %v and said %q", code, err, log.String())
				}
			}
			id, err := image.ConfigName()
			if err != nil {
				t.Fatal(err)
			}
			ref := "localhost/towline/image:" + id.Hex
			line := lines(t, dir, "run")[0]
			for _, part := range []string{"run --rm --name towline-" + kind, " --pull never ", " --network host ", " --volume " + ml + ":/opt/ml ", " --env OF_THE_JOB ", " --env HOME=/root ", " " + ref + " train -x"} {
				if !strings.Contains(line, part) {
					t.Errorf("%s was run as %q, want %q in it", kind, line, part)
				}
			}
			if strings.Contains(line, "a secret") {
				t.Errorf("a value is in the command line: %q", line)
			}
			if n := len(lines(t, dir, "load")); n != 1 {
				t.Errorf("the image was loaded %d times, want once", n)
			}
			if removed := lines(t, dir, "rm"); len(removed) != 2 || !strings.HasPrefix(removed[0], "rm --force towline-"+kind) {
				t.Errorf("removed %q, want both containers", removed)
			}
			wantArchive(t, filepath.Join(dir, "loaded"), ref)
		})
	}
}

// wantArchive wants what `docker load` and `podman load` read: an archive with
// a manifest.json that names the image, its configuration and its layers.
func wantArchive(t *testing.T, path, ref string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var names []string
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	for archive := tar.NewReader(f); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
		if header.Name == "manifest.json" {
			if err := json.NewDecoder(archive).Decode(&manifest); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(manifest) != 1 || !slices.Equal(manifest[0].RepoTags, []string{ref}) || !slices.Contains(names, manifest[0].Config) || !slices.Contains(names, manifest[0].Layers[0]) {
		t.Errorf("the archive holds %v with the manifest %v", names, manifest)
	}
}

func TestAnEngineStops(t *testing.T) {
	for _, tt := range []struct {
		name, container string
		grace           time.Duration
		want            int
	}{
		{"a program that heeds it", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done", 10 * time.Second, 5},
		{"one that does not is killed", `trap '' TERM; echo $$ > "$FAKE/pid"; echo ready; while :; do sleep 0.05; done`, 100 * time.Millisecond, 137},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, _ := engine(t, "docker", tt.container)
			var log buffer
			task, err := e.Run(t.Context(), runtime.Spec{Name: "job", Image: imageOf(t, layer(t, script("exit 0"))), Args: []string{"train"}, OptML: t.TempDir(), Log: &log})
			if err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the program", func() bool { return log.String() == "ready\n" })
			task.Stop(tt.grace)
			if code, err := task.Wait(); code != tt.want || err != nil {
				t.Errorf("it ended with %d, %v, want %d", code, err, tt.want)
			}
		})
	}
}

func TestAnEngineThatFails(t *testing.T) {
	for _, tt := range []struct {
		name, container, want string
		kind                  fault.Kind
		code                  int
	}{
		{"of its own", "echo 'docker: Error response from daemon: no space left on device' >&2; exit 125", "docker failed: Error response from daemon: no space left on device", fault.Remote, 125},
		{"to find the program", `echo 'docker: Error response from daemon: exec: "train": executable file not found in $PATH' >&2; exit 127`, `docker could not run the program: docker: Error response from daemon: exec: "train": executable file not found in $PATH`, fault.Missing, 127},
		{"not when the program itself ends like that", "exit 127", "", 0, 127},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, _ := engine(t, "docker", tt.container)
			task, err := e.Run(t.Context(), runtime.Spec{Name: "job", Image: imageOf(t, layer(t, script("exit 0"))), Args: []string{"train"}, OptML: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			code, err := task.Wait()
			if tt.want == "" && (err != nil || code != tt.code) || tt.want != "" && (err == nil || err.Error() != tt.want || fault.KindOf(err) != tt.kind) {
				t.Errorf("Wait() = %d, %v, want %d, %s", code, err, tt.code, tt.want)
			}
		})
	}
}

func TestAnEngineRemovesWhatAKilledProcessLeft(t *testing.T) {
	_, dir := engine(t, "podman", "exit 0")
	cache := t.TempDir()
	for _, name := range []string{"podman-1-1", "docker-1-1"} {
		if err := os.MkdirAll(filepath.Join(cache, "runtime", "containers", name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "ps"), []byte("abc\ndef\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	openEngine(t, "podman", dir, cache)
	if got := lines(t, dir, "rm"); !slices.Equal(got, []string{"rm --force abc def"}) {
		t.Errorf("removed %q", got)
	}
	left, err := filepath.Glob(filepath.Join(cache, "runtime", "containers", "*-1-1"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "docker-1-1" {
		t.Errorf("left %v, %v, want what docker will remove", left, err)
	}
}

func TestARuntimeThatIsNotThere(t *testing.T) {
	broken := tools(t, map[string]string{"docker": "echo 'Cannot connect to the Docker daemon' >&2; exit 1"})
	for _, tt := range []struct {
		kind, path, want string
		is               fault.Kind
	}{
		{"runc", "/nowhere", "runtime runc: no runc on the PATH", fault.Missing},
		{"podman", "/nowhere", "runtime podman: no podman on the PATH", fault.Missing},
		{"docker", broken, "runtime docker: " + broken + "/docker: exit code 1: Cannot connect to the Docker daemon", fault.Missing},
		{"lxc", "/nowhere", `runtime "lxc": wanted process, runc, podman, docker`, fault.Usage},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			_, err := runtime.Open(t.Context(), tt.kind, runtime.ProcessOptions{Cache: t.TempDir(), Environ: []string{"PATH=" + tt.path}})
			if err == nil || err.Error() != tt.want || fault.KindOf(err) != tt.is {
				t.Errorf("Open(%s) = %v, want %s", tt.kind, err, tt.want)
			}
		})
	}
	_, _, err := runtime.OpenContainers(t.Context(), runtime.ProcessOptions{Cache: t.TempDir(), Environ: []string{"PATH=" + broken}})
	if fault.KindOf(err) != fault.Missing || len(fault.DetailsOf(err)) != 3 {
		t.Errorf("OpenContainers() = %v with %q, want the three reasons", err, fault.DetailsOf(err))
	}
}
