package e2e_test

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"gitlab.com/towline/towline/pkg/cli"
)

// TestMain lets the test binary be the towline command for the scripts, so
// that each runs the real program in a process of its own.
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

// TestScripts runs the scripts of testdata/script. TOWLINE_UPDATE=1 rewrites
// what they expect.
func TestScripts(t *testing.T) { runScripts(t, filepath.Join("testdata", "script"), nil) }

// runScripts runs the scripts of a folder, which may use further commands.
func runScripts(t *testing.T, dir string, more map[string]func(*testscript.TestScript, bool, []string)) {
	t.Helper()
	sharedCache, err := filepath.Abs(cmp.Or(os.Getenv("TOWLINE_CACHE"), filepath.Join("..", ".cache", "towline")))
	if err != nil {
		t.Fatal(err)
	}
	repositories := map[string]string{
		"tiny":          filepath.Join("testdata", "tiny"),
		"breast-cancer": filepath.Join("..", "examples", "breast-cancer"),
		"diabetes":      filepath.Join("..", "examples", "diabetes"),
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		UpdateScripts:       os.Getenv("TOWLINE_UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("TOWLINE_CACHE", filepath.Join(env.WorkDir, "cache"))
			env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
			env.Values["issuer"] = &issuers{}
			gitEnvironment(env)
			env.Setenv("SHARED_CACHE", sharedCache)
			env.Setenv("ONLY_TOWLINE", filepath.SplitList(env.Getenv("PATH"))[0])
			forward(env)
			env.Defer(func() { stopClouds(env.WorkDir) })
			for name, dir := range repositories {
				if err := copyTracked(filepath.Join(env.WorkDir, name), dir); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: commands(more),
	})
}

// commands are those of every script, and more.
func commands(more map[string]func(*testscript.TestScript, bool, []string)) map[string]func(*testscript.TestScript, bool, []string) {
	all := map[string]func(*testscript.TestScript, bool, []string){
		"baseimage":   layeredBase,
		"code":        code,
		"gitlab":      gitlabState,
		"fault":       faultOf,
		"expand":      expandFile,
		"issuer":      issuer,
		"idtoken":     idToken,
		"unseen":      unseen,
		"fakegitlab":  fakeGitLab,
		"denying":     denying,
		"job":         job,
		"listen":      listen,
		"verdict":     verdict,
		"keygen":      keygen,
		"freeport":    freePort,
		"ask":         ask,
		"waitprocess": waitProcess,
		"waittext":    waitText,
		"noprocess":   noProcess,
	}
	maps.Copy(all, more)
	return all
}

// forward hands on what installers need to know of this machine: where uv is,
// and which certificates and package indexes it trusts.
func forward(env *testscript.Env) {
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		known := slices.Contains([]string{"TOWLINE_UV", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}, name)
		if known || strings.HasPrefix(name, "PIP_") || strings.HasPrefix(name, "UV_") {
			env.Setenv(name, value)
		}
	}
}

// copyTracked copies a model repository without what a run leaves in it.
func copyTracked(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains([]string{".towline", "out", "__pycache__", ".pytest_cache"}, entry.Name()) {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), body, 0o644)
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
// on, the new stdout, so that it can be compared without what was told before
// and without digests, which are written SHA256.
func faultOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: fault")
	}
	stderr := ts.ReadFile("stderr")
	_, told, found := strings.Cut(stderr, "towline: error: ")
	if !found {
		ts.Fatalf("no error in stderr:\n%s", stderr)
	}
	told = strings.ReplaceAll("towline: error: "+told, ts.Getenv("WORK"), "$WORK")
	told = regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAllString(told, "SHA256")
	path := filepath.Join(ts.Getenv("WORK"), ".fault")
	ts.Check(os.WriteFile(path, []byte(told), 0o644))
	ts.Check(ts.Exec("cat", path))
}

// keygen makes a key pair for signatures: keygen NAME writes $WORK/NAME.pem and
// $WORK/NAME.pub.
func keygen(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: keygen NAME")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	ts.Check(err)
	name := filepath.Join(ts.Getenv("WORK"), args[0])
	ts.Check(os.WriteFile(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	ts.Check(os.WriteFile(name+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o644))
}
