package proc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/proc"
)

// sh is a shell script to be run with a PATH and nothing else.
func sh(script string) proc.Command {
	return proc.Command{Name: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"}}
}

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script string
		want   string
		code   int
	}{
		{"a program that ends well gives no error", "exit 0", "", 0},
		{"an exit code comes with the last line of stderr", "echo first >&2; echo last >&2; exit 3", "/bin/sh: exit code 3: last", 3},
		{"a silent failure names the code alone", "exit 7", "/bin/sh: exit code 7", 7},
		{"a signal counts as 128 plus its number", "kill -TERM $$", "/bin/sh: exit code 143", 143},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := sh(tt.script).Run(t.Context())
			if tt.want == "" {
				if err != nil {
					t.Errorf("Run(%q) = %v, want no error", tt.script, err)
				}
				return
			}
			var exit *proc.ExitError
			if !errors.As(err, &exit) || exit.Code != tt.code || err.Error() != tt.want {
				t.Errorf("Run(%q) = %v, want %s with code %d", tt.script, err, tt.want, tt.code)
			}
		})
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	err := proc.Command{Name: "/no/such/program"}.Run(t.Context())
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Run() = %v, want an error that is os.ErrNotExist", err)
	}
}

func TestNothingIsInherited(t *testing.T) {
	t.Setenv("TOWLINE_TEST_SECRET", "leak")
	for _, env := range [][]string{nil, {}, {"ONE=1"}} {
		c := proc.Command{Name: "/usr/bin/env", Env: env}
		out, err := c.Output(t.Context())
		if err != nil {
			t.Fatalf("Output() = %v", err)
		}
		if got := strings.Fields(string(out)); len(got) != len(env) {
			t.Errorf("Output() with Env %q = %q, want the same", env, got)
		}
	}
}

func TestOnlyTheEndOfStderrIsKept(t *testing.T) {
	var all bytes.Buffer
	c := sh(`i=0; while [ $i -lt 3000 ]; do echo "line $i" >&2; i=$((i+1)); done; exit 1`)
	c.Stderr = &all
	err := c.Run(t.Context())
	var exit *proc.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("Run() = %v, want an ExitError", err)
	}
	if len(exit.Stderr) > 8<<10 || !strings.HasSuffix(exit.Stderr, "line 2999\n") {
		t.Errorf("kept %d bytes that end with %q", len(exit.Stderr), exit.Stderr[len(exit.Stderr)-20:])
	}
	if !strings.HasPrefix(all.String(), "line 0\n") || !strings.HasSuffix(all.String(), "line 2999\n") {
		t.Errorf("Stderr got %d bytes, want all lines", all.Len())
	}
}

func TestAChunkLargerThanWhatIsKept(t *testing.T) {
	c := sh(`head -c 100000 /dev/zero | tr '\0' x >&2; echo end >&2; exit 1`)
	err := c.Run(t.Context())
	if !strings.HasSuffix(err.Error(), "xend") {
		t.Errorf("Run() ends with %q", err.Error()[len(err.Error())-20:])
	}
}

func TestCancelStopsTheWholeGroup(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the user pressed Ctrl-C")
	pids := filepath.Join(t.TempDir(), "pids")
	c := sh("sleep 60 & echo $! > " + pids + "; echo ready; wait")
	c.Stdout = writerFunc(func([]byte) { cancel(why) })
	start := time.Now()
	if err := c.Run(ctx); !errors.Is(err, why) {
		t.Errorf("Run() = %v, want the cause of the cancel", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Run() took %v after the cancel", took)
	}
	gone(t, readPID(t, pids))
}

func TestACancelledContextStartsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	trace := filepath.Join(t.TempDir(), "trace")
	if err := sh("touch " + trace).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Run() = %v, want context.Canceled", err)
	}
	if _, err := os.Stat(trace); err == nil {
		t.Error("the program ran")
	}
}

func TestAProgramThatIgnoresSIGTERMIsKilled(t *testing.T) {
	ready := make(chan struct{}, 1)
	c := sh("trap '' TERM; echo ready; while :; do sleep 0.1; done")
	c.Stdout = writerFunc(func([]byte) { ready <- struct{}{} })
	p := start(t, c)
	<-ready
	p.Stop(200 * time.Millisecond)
	var exit *proc.ExitError
	if err := p.Err(); !errors.As(err, &exit) || exit.Code != 137 {
		t.Errorf("Err() = %v, want exit code 137", err)
	}
	p.Stop(time.Second) // a second time does nothing
}

func TestSignalReachesTheProgramAlone(t *testing.T) {
	dir := t.TempDir()
	ready := make(chan struct{}, 1)
	c := sh(fmt.Sprintf(`trap 'exit 5' TERM
		(trap 'touch %s/child' TERM; while :; do sleep 0.05; done) &
		echo ready; while :; do sleep 0.05; done`, dir))
	c.Stdout = writerFunc(func([]byte) { ready <- struct{}{} })
	p := start(t, c)
	<-ready
	p.Signal(syscall.SIGTERM)
	p.KillAfter(5 * time.Second)
	var exit *proc.ExitError
	if err := p.Err(); !errors.As(err, &exit) || exit.Code != 5 {
		t.Errorf("Err() = %v, want exit code 5", err)
	}
	if _, err := os.Stat(dir + "/child"); err == nil {
		t.Error("the child was signalled too")
	}
}

func TestWhatAProgramLeavesBehindEndsWithIt(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	c := sh("sleep 60 & echo $! > " + pids)
	var out bytes.Buffer
	c.Stdout = &out // the sleeper keeps this pipe open
	begin := time.Now()
	if err := c.Run(t.Context()); err != nil {
		t.Errorf("Run() = %v", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("Run() took %v, want it not to wait for the sleeper", took)
	}
	gone(t, readPID(t, pids))
}

func TestFilesAreInherited(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	c := sh("echo told >&3")
	c.Files = []*os.File{w}
	err = c.Run(t.Context())
	_ = w.Close()
	if err != nil {
		t.Fatalf("Run() = %v", err)
	}
	var got bytes.Buffer
	if _, err := got.ReadFrom(r); err != nil || got.String() != "told\n" {
		t.Errorf("read %q, %v, want told", got.String(), err)
	}
}

// TestTheProgramDiesWithItsStarter starts this test binary again as the
// starter, which is killed without a chance to clean up.
func TestTheProgramDiesWithItsStarter(t *testing.T) {
	if pids := os.Getenv("PROC_TEST_STARTER"); pids != "" {
		p := start(t, sh("echo $$ > "+pids+".tmp; mv "+pids+".tmp "+pids+"; exec sleep 60"))
		<-p.Done()
		return
	}
	pids := filepath.Join(t.TempDir(), "pids")
	starter := exec.Command(os.Args[0], "-test.run=^TestTheProgramDiesWithItsStarter$")
	starter.Env = append(os.Environ(), "PROC_TEST_STARTER="+pids)
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	pid := readPID(t, pids)
	_ = starter.Process.Kill()
	_ = starter.Wait()
	gone(t, pid)
}

func start(t *testing.T, c proc.Command) *proc.Process {
	t.Helper()
	p, err := c.Start()
	if err != nil {
		t.Fatalf("Start() = %v", err)
	}
	t.Cleanup(func() { p.Stop(time.Millisecond) })
	return p
}

// readPID waits for the file that holds a process id.
func readPID(t *testing.T, file string) int {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		data, err := os.ReadFile(file)
		if pid, bad := strconv.Atoi(strings.TrimSpace(string(data))); err == nil && bad == nil {
			return pid
		}
	}
	t.Fatalf("no process id in %s", file)
	return 0
}

// gone checks that the process ends within two seconds, or is only a zombie
// that somebody else has to fetch.
func gone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Errorf("process %d still runs", pid)
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}

func TestProgramsDoNotKeepFilesOfTheCaller(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	// An inherited file is one that is open across exec.
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, writer.Fd(), syscall.F_SETFD, 0); errno != 0 {
		t.Fatal(errno)
	}
	if err := proc.KeepFiles(); err != nil {
		t.Fatal(err)
	}
	sleeper := exec.Command("sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() }()
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := reader.Read(make([]byte, 1))
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, io.EOF) {
			t.Errorf("the pipe ends with %v, want its end", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a program holds the pipe open")
	}
}
