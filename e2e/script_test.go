package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
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
func TestScripts(t *testing.T) {
	tiny, err := filepath.Abs(filepath.Join("testdata", "tiny"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       os.Getenv("TOWLINE_UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("TOWLINE_CACHE", filepath.Join(env.WorkDir, "cache"))
			env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
			return os.CopyFS(filepath.Join(env.WorkDir, "tiny"), os.DirFS(tiny))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": code,
		},
	})
}

var _ fs.FS
