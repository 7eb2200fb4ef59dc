//go:build peers

package runtime_test

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

// program is an image that holds a static binary as train and serve, and
// nothing else of what a system has.
func program(t *testing.T) v1.Image {
	t.Helper()
	binary := os.Getenv("RUNC_TEST_PROGRAM")
	if binary == "" {
		binary = build(t)
	}
	text, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	train := file("opt/towline/bin/train", string(text))
	train.header.Mode = 0o755
	return imageOf(t, layer(t, train, symlink("opt/towline/bin/serve", "train"), file("opt/program/data", "of the image"), symlink("bin", "opt/towline/bin")))
}

// build makes the program of the tests. Its file goes with the test's folder.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", "build", "-o", binary, "./testdata/program")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func newRunc(t *testing.T, cache string) *runtime.Runc {
	t.Helper()
	r, err := runtime.NewRunc(t.Context(), runtime.ProcessOptions{Cache: cache, Environ: os.Environ()})
	if err != nil {
		t.Fatalf("NewRunc() = %v", err)
	}
	return r
}

// asEverybody runs a test as root, and again, in a process of its own, as
// somebody else.
func asEverybody(t *testing.T, test func(t *testing.T)) {
	const nobody = 65534
	if os.Geteuid() != 0 {
		test(t)
		return
	}
	t.Run("as root", test)
	t.Run("as nobody", func(t *testing.T) {
		dir, err := os.MkdirTemp("/tmp", "towline-rootless-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		name := strings.TrimSuffix(t.Name(), "/as_nobody")
		cmd := exec.Command(copyOf(t, os.Args[0], dir, "test"), "-test.run", "^"+name+"$", "-test.v")
		cmd.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir, "RUNC_TEST_PROGRAM="+copyOf(t, build(t), dir, "program"))
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+name)) {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func copyOf(t *testing.T, program, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, name)
	if err := os.WriteFile(to, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestRuncRunsAProgram(t *testing.T) {
	asEverybody(t, func(t *testing.T) {
		cache, ml := t.TempDir(), t.TempDir()
		if err := os.WriteFile(ml+"/in", []byte("data"), 0o644); err != nil {
			t.Fatal(err)
		}
		r, image := newRunc(t, cache), program(t)
		for range 2 { // what the first wrote is not there for the second
			var log buffer
			task, err := r.Run(t.Context(), runtime.Spec{Name: "job", Image: image, Args: []string{"train", "look"}, OptML: ml, Env: map[string]string{"OF_THE_JOB": "1"}, Log: &log})
			if err != nil {
				t.Fatal(err)
			}
			code, err := task.Wait()
			said := log.String()
			if code != 3 || err != nil || !strings.Contains(said, "algo-1 /opt/program 0 1 data <nil>\n") {
				t.Errorf("it ended with %d, %v and said %q", code, err, said)
			}
			if strings.Contains(said, "could not") || !strings.Contains(said, "OF_THE_JOB=1") || !strings.Contains(said, "to stderr") || strings.Contains(said, "TMPDIR") {
				t.Errorf("it said %q", said)
			}
			if out, err := os.ReadFile(ml + "/out"); err != nil || string(out) != "written" {
				t.Errorf("/opt/ml/out holds %q, %v", out, err)
			}
			if data, err := filepath.Glob(cache + "/runtime/roots/*/tree/opt/program/*"); err != nil || len(data) != 1 {
				t.Errorf("the image's folder holds %v, %v", data, err)
			}
		}
		nothingIsLeft(t, cache)
	})
}

// nothingIsLeft wants no container, no folder of one and no mount.
func nothingIsLeft(t *testing.T, cache string) {
	t.Helper()
	left, err := filepath.Glob(cache + "/runtime/containers/*/c*")
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	states, err := filepath.Glob(cache + "/runtime/containers/*/state/*")
	if err != nil || len(states) > 0 {
		t.Errorf("left behind: %v, %v", states, err)
	}
	if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || bytes.Contains(mounts, []byte(cache)) {
		t.Errorf("mounts are left, or cannot be read: %v", err)
	}
}

func TestRuncStops(t *testing.T) {
	asEverybody(t, func(t *testing.T) {
		cache := t.TempDir()
		r, image := newRunc(t, cache), program(t)
		for _, tt := range []struct {
			does  string
			grace time.Duration
			code  int
			says  string
		}{
			{"heed", 20 * time.Second, 5, "ready\ntold\n"},
			{"ignore", 200 * time.Millisecond, 137, "ready\n"},
		} {
			var log buffer
			task, err := r.Run(t.Context(), runtime.Spec{Name: "job", Image: image, Args: []string{"train", tt.does}, OptML: t.TempDir(), Log: &log})
			if err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the program", func() bool { return strings.Contains(log.String(), "ready") })
			task.Stop(tt.grace)
			if code, err := task.Wait(); code != tt.code || err != nil || log.String() != tt.says {
				t.Errorf("a program that is to %s ended with %d, %v and said %q", tt.does, code, err, log.String())
			}
		}
		task, err := r.Run(t.Context(), runtime.Spec{Name: "job", Image: image, Args: []string{"train", "heed"}, OptML: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		task.Stop(20 * time.Second) // at once
		if code, err := task.Wait(); err != nil || code == 0 {
			t.Errorf("a program that was stopped at once ended with %d, %v", code, err)
		}
		nothingIsLeft(t, cache)
	})
}

func TestRuncServesOnLoopback(t *testing.T) {
	asEverybody(t, func(t *testing.T) {
		r := newRunc(t, t.TempDir())
		_, port := freePort(t)
		task, err := r.Run(t.Context(), runtime.Spec{Name: "server", Image: program(t), Args: []string{"serve", "serve"}, OptML: t.TempDir(), Env: map[string]string{"SAGEMAKER_BIND_TO_PORT": port}})
		if err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the server", func() bool {
			resp, err := http.Get("http://" + net.JoinHostPort("127.0.0.1", port) + "/ping")
			return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
		})
		task.Stop(20 * time.Second)
		if code, err := task.Wait(); code != 0 || err != nil {
			t.Errorf("it ended with %d, %v", code, err)
		}
	})
}

func TestRuncNeedsAProgramThatTheImageHolds(t *testing.T) {
	r := newRunc(t, t.TempDir())
	_, err := r.Run(t.Context(), runtime.Spec{Name: "job", Image: python(t, ""), Args: []string{"train"}, OptML: t.TempDir()})
	want := "run train: the image holds no python3.11, which its /opt/towline/bin/train needs"
	if err == nil || err.Error() != want || fault.KindOf(err) != fault.Missing || !strings.Contains(fault.HintOf(err), "TOWLINE_LOCAL_BASE") {
		t.Errorf("Run() = %v (hint %q), want %s", err, fault.HintOf(err), want)
	}
}

// TestRuncRemovesWhatAKilledProcessLeft starts this test binary again, which
// is killed while its container runs.
func TestRuncRemovesWhatAKilledProcessLeft(t *testing.T) {
	if dir := os.Getenv("RUNC_TEST_CLOUD"); dir != "" {
		r := newRunc(t, dir+"/cache")
		file, err := os.Create(dir + "/log")
		if err != nil {
			t.Fatal(err)
		}
		task, err := r.Run(t.Context(), runtime.Spec{Name: "job", Image: program(t), Args: []string{"train", "ignore"}, OptML: dir, Log: file})
		if err != nil {
			t.Fatal(err)
		}
		<-task.Done()
		return
	}
	dir := t.TempDir()
	cloud := exec.Command(os.Args[0], "-test.run=^TestRuncRemovesWhatAKilledProcessLeft$")
	cloud.Env = append(os.Environ(), "RUNC_TEST_CLOUD="+dir)
	if err := cloud.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the container", func() bool { log, _ := os.ReadFile(dir + "/log"); return string(log) == "ready\n" })
	states, _ := filepath.Glob(dir + "/cache/runtime/containers/*/state/*")
	if len(states) != 1 {
		t.Errorf("found the containers %v, want one", states)
	}
	newRunc(t, dir+"/cache") // while its owner lives a container is left alone
	if after, _ := filepath.Glob(dir + "/cache/runtime/containers/*/state/*"); len(after) != 1 {
		t.Errorf("found the containers %v, want the one that is in use", after)
	}
	_ = cloud.Process.Kill()
	_ = cloud.Wait()
	newRunc(t, dir+"/cache")
	nothingIsLeft(t, dir+"/cache")
	waitFor(t, "the end of the container", func() bool { return exec.Command("pgrep", "-f", "^train ignore").Run() != nil })
}
