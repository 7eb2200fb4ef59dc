package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for a process to come or go.
const patience = 60 * time.Second

// listen holds a free port for the rest of the script and names it: listen VARIABLE.
func listen(ts *testscript.TestScript, _ bool, args []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0], port)
}

// freePort names a port that nobody listens on: freeport VARIABLE.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	ts.Check(err)
	ts.Check(listener.Close())
	ts.Setenv(args[0], port)
}

// waitText waits until a file holds a text: waittext FILE TEXT.
func waitText(ts *testscript.TestScript, _ bool, args []string) {
	var text []byte
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var err error
		if text, err = os.ReadFile(ts.MkAbs(args[0])); err == nil && strings.Contains(string(text), args[1]) {
			return
		}
	}
	ts.Fatalf("%s did not come to hold %q within %s: %s", args[0], args[1], patience, text)
}

// ask asks an address until it answers with 200, and makes the answer the new
// stdout: ask URL [FILE], where the file is sent as JSON.
func ask(ts *testscript.TestScript, _ bool, args []string) {
	var body []byte
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		resp, err := request(ts, args)
		if err != nil {
			continue
		}
		body, err = io.ReadAll(resp.Body)
		ts.Check(errors.Join(err, resp.Body.Close()))
		if resp.StatusCode == http.StatusOK {
			ts.Check(os.WriteFile(ts.MkAbs(".answer"), body, 0o644))
			ts.Check(ts.Exec("cat", ts.MkAbs(".answer")))
			return
		}
	}
	ts.Fatalf("%s did not answer with 200 within %s: %s", args[0], patience, body)
}

func request(ts *testscript.TestScript, args []string) (*http.Response, error) {
	if len(args) == 1 {
		return http.Get(args[0])
	}
	return http.Post(args[0], "application/json", strings.NewReader(ts.ReadFile(args[1])))
}

// waitProcess waits until a process has all the words in its command line.
func waitProcess(ts *testscript.TestScript, _ bool, words []string) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if len(processes(words)) > 0 {
			return
		}
	}
	ts.Fatalf("no process with %s came within %s", strings.Join(words, " and "), patience)
}

// noProcess waits until no process has all the words in its command line.
func noProcess(ts *testscript.TestScript, _ bool, words []string) {
	var left []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if left = processes(words); len(left) == 0 {
			return
		}
	}
	ts.Fatalf("still running: %s", strings.Join(left, "\n"))
}

// processes are the command lines, with their process ids, that hold all the
// words.
func processes(words []string) []string {
	var found []string
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil
	}
	for _, path := range paths {
		pid := filepath.Base(filepath.Dir(path))
		line, err := os.ReadFile(path)
		if err != nil || pid == strconv.Itoa(os.Getpid()) {
			continue
		}
		text := string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		if containsAll(text, words) {
			found = append(found, pid+" "+text)
		}
	}
	return found
}

func containsAll(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// stopClouds stops the local clouds that a script left running, as one that
// failed half-way does.
func stopClouds(work string) {
	for _, depth := range []string{"*", filepath.Join("*", "*")} {
		found, err := filepath.Glob(filepath.Join(work, depth, ".towline", "local", "cloud.json"))
		if err != nil {
			continue
		}
		for _, path := range found {
			stopCloud(path)
		}
	}
}

func stopCloud(path string) {
	var running struct{ PID int }
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &running) != nil || running.PID <= 1 {
		return
	}
	_ = syscall.Kill(running.PID, syscall.SIGTERM)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(path); err != nil || gone(running.PID) {
			return
		}
	}
	_ = syscall.Kill(running.PID, syscall.SIGKILL)
}

// gone says whether a process has ended. One that was on its way out when it
// was asked to end leaves its file behind.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}
