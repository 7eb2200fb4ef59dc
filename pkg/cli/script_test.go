package cli_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"gitlab.com/towline/towline/pkg/cli"
)

// TestMain lets the test binary be the towline command for the scripts, as in e2e.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"towline": func() {
			os.Exit(cli.Main(cli.Process{
				Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
				Environ: os.Environ(), Version: "0.0.0-test",
			}))
		},
	})
}

// TestScripts runs the scripts that need a fake GitLab beside them. TOWLINE_UPDATE=1 rewrites what they expect.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       os.Getenv("TOWLINE_UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values["issuer"] = &issuers{}
			for name, value := range map[string]string{
				"HOME": filepath.Join(env.WorkDir, "home"), "TOWLINE_CACHE": filepath.Join(env.WorkDir, "cache"),
				"GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@example.com",
				"GIT_COMMITTER_NAME": "test", "GIT_COMMITTER_EMAIL": "test@example.com", "AWS_EC2_METADATA_DISABLED": "true",
			} {
				env.Setenv(name, value)
			}
			return os.CopyFS(filepath.Join(env.WorkDir, "tiny"), os.DirFS(filepath.Join("..", "..", "e2e", "testdata", "tiny")))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": code, "fault": faultOf, "freeport": freePort, "secret": keepSecret, "fill": fill,
			"issuer": issuer, "idtoken": idToken, "unseen": unseen,
		},
	})
}

// code runs a program and wants exactly this exit code: code N PROGRAM ARGS…
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N PROGRAM [ARGS]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s: exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// faultOf makes the end of the last program's stderr, from "towline: error:"
// on, the new stdout, with SHA256 for digests.
func faultOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: fault")
	}
	stderr := ts.ReadFile("stderr")
	_, told, found := strings.Cut(stderr, "towline: error: ")
	if !found {
		ts.Fatalf("no error in stderr:\n%s", stderr)
	}
	told = regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAllString(told, "SHA256")
	path := filepath.Join(ts.Getenv("WORK"), ".fault")
	ts.Check(os.WriteFile(path, []byte("towline: error: "+told), 0o644))
	ts.Check(ts.Exec("cat", path))
}

// freePort names a port that nobody listens on: freeport VARIABLE.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	ts.Check(errors.Join(err, listener.Close()))
	ts.Setenv(args[0], port)
}

// keepSecret sets a variable to a text that no output may show: secret VARIABLE TEXT.
func keepSecret(ts *testscript.TestScript, _ bool, args []string) {
	secrets := filepath.Join(ts.Getenv("WORK"), ".secrets")
	kept, _ := os.ReadFile(secrets) // there is none before the first
	ts.Check(os.WriteFile(secrets, append(kept, args[1]+"\n"...), 0o600))
	ts.Setenv(args[0], args[1])
}

// fill replaces $NAMES of variables in a file: fill FROM TO.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fill FROM TO")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}
