package localcloud_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"

	"gitlab.com/towline/towline/pkg/localcloud"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

// sleeper starts a program in a process group of its own.
func sleeper(t *testing.T) (pid int, ended <-chan struct{}) {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(done)
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd.Process.Pid, done
}

// killed copies the folder of a cloud as a kill -9 would leave it, while a
// training job runs as the given process.
func killed(t *testing.T, pid int) string {
	t.Helper()
	fake := &fakeRuntime{pid: pid, train: func(ctx context.Context, _ runtime.Spec) int { <-ctx.Done(); return 143 }}
	c := start(t, localcloud.Options{Runtime: fake, StopGrace: 50 * time.Millisecond})
	c.create(t, job("lost", c.push(t, randomImage(t))))
	eventually(t, "the program's start", func() bool {
		content, err := os.ReadFile(filepath.Join(c.dir, "sagemaker", "processes.json"))
		return err == nil && strings.Contains(string(content), `"pid"`) && c.describe(t, "lost").SecondaryStatus == types.SecondaryStatusTraining
	})
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(c.dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWhatAKilledCloudLeftIsEnded(t *testing.T) {
	pid, ended := sleeper(t)
	start(t, localcloud.Options{Dir: killed(t, pid)})
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the program of the killed cloud still runs")
	}
}

func TestAnotherProcessOfTheSameNumberIsSpared(t *testing.T) {
	pid, ended := sleeper(t)
	dir := killed(t, pid)
	path := filepath.Join(dir, "sagemaker", "processes.json")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(content), `"start": "`, `"start": "1`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, localcloud.Options{Dir: dir})
	select {
	case <-ended:
		t.Error("a process that is not the cloud's was killed")
	case <-time.After(200 * time.Millisecond):
	}
}

// TestASandboxThatNobodyRemembersIsEnded plays a sandbox whose cloud was killed
// before it could write down which processes it had started.
func TestASandboxThatNobodyRemembersIsEnded(t *testing.T) {
	if os.Getenv("LOCALCLOUD_TEST_SANDBOX") != "" {
		time.Sleep(time.Minute)
		return
	}
	dir := t.TempDir()
	for _, tt := range []struct {
		name, program, folder string
		ends                  bool
	}{
		{"a sandbox of this cloud", "bwrap", dir + "/sagemaker/work/lost", true},
		{"a sandbox of another cloud", "bwrap", dir + "-2/sagemaker/work/lost", false},
		{"another program in this cloud's folder", "vi", dir + "/sagemaker/work/lost", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ended := played(t, tt.program, tt.folder)
			start(t, localcloud.Options{Dir: dir}).close(t)
			select {
			case <-ended:
				if !tt.ends {
					t.Error("a process that is not the cloud's was killed")
				}
			case <-time.After(500 * time.Millisecond):
				if tt.ends {
					t.Error("the sandbox still runs")
				}
			}
		})
	}
}

// played runs this test binary under another name, with a folder in its command line.
func played(t *testing.T, name, folder string) <-chan struct{} {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestASandboxThatNobodyRemembersIsEnded$", "--", folder)
	cmd.Args[0] = name
	cmd.Env = append(os.Environ(), "LOCALCLOUD_TEST_SANDBOX=yes")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(done)
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return done
}
