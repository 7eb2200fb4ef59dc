package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

func TestHowATaskEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script string
		want   int
	}{
		{"well", "exit 0", 0},
		{"with a code", "exit 77", 77},
		{"by a signal", "kill -SEGV $$", 139},
		{"while a child still runs", "sleep 60 & exit 4", 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEach(t, func(t *testing.T, p *runtime.Process) {
				begun := time.Now()
				if code, said := run(t, p, runtime.Spec{Image: imageOf(t, layer(t, script(tt.script)))}); code != tt.want {
					t.Errorf("Wait() = %d, want %d; it said %q", code, tt.want, said)
				}
				if took := time.Since(begun); took > 8*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestStop(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script string
		grace  time.Duration
		want   int
		says   string
	}{
		{
			"a program that heeds SIGTERM ends as it likes, and is told once",
			"trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done", 10 * time.Second, 5, "bye\n",
		},
		{
			"one that does not care ends by the signal",
			"echo ready; exec sleep 60", 10 * time.Second, 143, "",
		},
		{
			"one that ignores it is killed, with its children",
			"trap '' TERM; (trap '' TERM; sleep 60) & echo ready; while :; do sleep 0.05; done", 200 * time.Millisecond, 137, "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEach(t, func(t *testing.T, p *runtime.Process) {
				var log buffer
				task := begin(t, p, runtime.Spec{Image: imageOf(t, layer(t, script(tt.script)))}, &log)
				waitFor(t, "the program to be ready", func() bool { return strings.HasPrefix(log.String(), "ready\n") })
				family := descendants(task.PID())
				begun := time.Now()
				task.Stop(tt.grace)
				select {
				case <-task.Done():
				default:
					t.Error("Stop() came back before the end")
				}
				if code, err := task.Wait(); code != tt.want || err != nil {
					t.Errorf("Wait() = %d, %v, want %d", code, err, tt.want)
				}
				if got := strings.TrimPrefix(log.String(), "ready\n"); got != tt.says {
					t.Errorf("the program said %q, want %q", got, tt.says)
				}
				if took := time.Since(begun); took > 8*time.Second {
					t.Errorf("Stop() took %v", took)
				}
				task.Stop(time.Second) // nothing is left to stop
				for _, pid := range family {
					waitFor(t, "the end of a child", func() bool { return dead(pid) })
				}
			})
		})
	}
}

func TestStopRightAfterTheStart(t *testing.T) {
	inEach(t, func(t *testing.T, p *runtime.Process) {
		image := imageOf(t, layer(t, script("exec sleep 60")))
		for range 5 {
			task := begin(t, p, runtime.Spec{Image: image}, io.Discard)
			begun := time.Now()
			task.Stop(10 * time.Second)
			if code, err := task.Wait(); code < 128 || err != nil {
				t.Errorf("Wait() = %d, %v, want an end by a signal", code, err)
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("Stop() took %v", took)
			}
		}
	})
}

func TestAnInterruptedStart(t *testing.T) {
	why := errors.New("the user pressed Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	p := newProcess(t, runtime.ProcessOptions{})
	_, err := p.Run(ctx, runtime.Spec{Name: "job", Image: python(t, ""), Args: []string{"train"}, OptML: t.TempDir()})
	if !errors.Is(err, why) {
		t.Errorf("Run() = %v, want %v", err, why)
	}
}

func TestALogThatCannotBeWritten(t *testing.T) {
	inEach(t, func(t *testing.T, p *runtime.Process) {
		task := begin(t, p, runtime.Spec{Image: imageOf(t, layer(t, script("echo one; echo two; exit 3")))}, full{})
		if code, err := task.Wait(); code != 3 || err != nil {
			t.Errorf("Wait() = %d, %v, want 3", code, err)
		}
	})
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func freePort(t *testing.T) (address, port string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = listener.Addr().String()
	_ = listener.Close()
	_, port, _ = strings.Cut(address, ":")
	return address, port
}

// TestTasksDieWithTheirCloud starts this test binary again as the cloud, which
// is killed without a chance to clean up.
func TestTasksDieWithTheirCloud(t *testing.T) {
	if dir := os.Getenv("RUNTIME_TEST_CLOUD"); dir != "" {
		p := newProcess(t, runtime.ProcessOptions{Cache: dir + "/cache", Sandbox: os.Getenv("RUNTIME_TEST_SANDBOX")})
		task := begin(t, p, runtime.Spec{OptML: dir, Image: imageOf(t, layer(t, script(
			`echo $$ > ${TOWLINE_OPT_ML:-/opt/ml}/ready; while :; do sleep 0.05; done`)))}, io.Discard)
		if err := os.WriteFile(dir+"/group", []byte(strconv.Itoa(task.PID())), 0o644); err != nil {
			t.Fatal(err)
		}
		<-task.Done()
		return
	}
	for _, sandbox := range sandboxes() {
		t.Run(sandbox, func(t *testing.T) {
			dir := t.TempDir()
			cloud := exec.Command(os.Args[0], "-test.run=^TestTasksDieWithTheirCloud$")
			cloud.Env = append(os.Environ(), "RUNTIME_TEST_CLOUD="+dir, "RUNTIME_TEST_SANDBOX="+sandbox)
			if err := cloud.Start(); err != nil {
				t.Fatal(err)
			}
			var group int
			waitFor(t, "the task to run", func() bool {
				data, err := os.ReadFile(dir + "/group")
				group, _ = strconv.Atoi(string(data))
				_, ready := os.Stat(dir + "/ready")
				return err == nil && group > 0 && ready == nil
			})
			family := descendants(group)
			if sandbox == "bwrap" && len(family) < 3 {
				t.Errorf("found the processes %v, want bubblewrap's two and the program", family)
			}
			_ = cloud.Process.Kill()
			_ = cloud.Wait()
			deadline := time.Now().Add(2 * time.Second)
			for _, pid := range family {
				for !dead(pid) {
					if time.Now().After(deadline) {
						t.Fatalf("process %d of %v outlived its cloud by two seconds", pid, family)
					}
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
}

// descendants are a process and all below it.
func descendants(pid int) []int {
	all := []int{pid}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, word := range strings.Fields(string(children)) {
		child, _ := strconv.Atoi(word)
		all = append(all, descendants(child)...)
	}
	return all
}

// dead says whether a process is gone, or a zombie that somebody else has to fetch.
func dead(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s for %s", what)
		}
	}
}
