package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"gitlab.com/towline/towline/internal/gitlabtest"
)

// fakes are the GitLabs that scripts have started, by the address of their API.
var fakes sync.Map

// gitlabState makes what a GitLab holds the new stdout, without addresses and
// digests: gitlab ADDRESS notes|pipelines|deployments|models|releases. With
// "next" it says through which states the next pipeline goes: gitlab ADDRESS
// next STATE… With "files" it writes those of a model version into a folder:
// gitlab ADDRESS files MODEL VERSION FOLDER
func gitlabState(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: gitlab ADDRESS WHAT")
	}
	found, ok := fakes.Load(args[0])
	if !ok {
		ts.Fatalf("no GitLab at %s", args[0])
	}
	gitlab := found.(*gitlabtest.Server)
	var state any
	switch args[1] {
	case "next":
		gitlab.NextPipeline(args[2:]...)
		return
	case "files":
		ts.Check(os.MkdirAll(ts.MkAbs(args[4]), 0o755))
		for name, body := range gitlab.ModelFiles(args[2], args[3]) {
			ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[4]), name), []byte(body), 0o644))
		}
		return
	case "notes":
		state = gitlab.Notes()
	case "pipelines":
		state = gitlab.Pipelines()
	case "deployments":
		state = map[string]any{"deployments": gitlab.Deployments(), "environments": gitlab.Environments()}
	case "models":
		state = gitlab.Models()
	default:
		ts.Fatalf("gitlab %s: there is no such thing", args[1])
	}
	text, err := json.MarshalIndent(state, "", " ")
	ts.Check(err)
	path := filepath.Join(ts.Getenv("WORK"), ".state")
	ts.Check(os.WriteFile(path, []byte(strings.ReplaceAll(string(text), strings.TrimSuffix(args[0], "/api/v4"), "$GITLAB")+"\n"), 0o644))
	ts.Check(ts.Exec("cat", path))
}
