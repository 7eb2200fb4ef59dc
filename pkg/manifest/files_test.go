package manifest_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
)

func TestFilesThatTheManifestNames(t *testing.T) {
	model, _ := load(t, "testdata/full.yaml").Model("url-risk")
	want := []manifest.Named{
		{Key: "path", Path: "models/url-risk", Dir: true},
		{Key: "shared[0]", Path: "libs/features", Dir: true},
		{Key: "image.requirements", Path: "models/url-risk/requirements.txt"},
		{Key: "train.command[1]", Path: "models/url-risk/train.py"},
		{Key: "train.channels.test", Path: "models/url-risk/data/test", Dir: true},
		{Key: "evaluate.command[1]", Path: "models/url-risk/evaluate.py"},
		{Key: "serve.command[1]", Path: "models/url-risk/serve.py"},
		{Key: "serve.sample.file", Path: "models/url-risk/sample.json"},
	}
	if diff := cmp.Diff(want, manifest.Files(model)); diff != "" {
		t.Errorf("Files(url-risk) (-want +got):\n%s", diff)
	}
}

func TestCheckOfTheFilesThatTheManifestNames(t *testing.T) {
	m := load(t, "testdata/full.yaml")
	repo := fstest.MapFS{
		"towline.yaml":                     {},
		"libs/features":                    {},
		"models/url-risk/requirements.txt": {},
		"models/url-risk/train.py/x":       {},
		"models/url-risk/data/test/a.csv":  {},
		"models/url-risk/evaluate.py":      {},
		"models/url-risk/serve.py":         {},
		"tools/bin/tool":                   {},
	}
	err := manifest.Check(m, repo)
	if fault.KindOf(err) != fault.Repository || err.Error() != "read towline.yaml: 4 problems" {
		t.Errorf("Check = %v of kind %v", err, fault.KindOf(err))
	}
	want := []string{
		"towline.yaml:7:14: models[0].shared[0]: libs/features is not a folder",
		"towline.yaml:20:25: models[0].train.command[1]: models/url-risk/train.py is not a file",
		"towline.yaml:43:22: models[0].serve.sample.file: no file models/url-risk/sample.json",
		"towline.yaml:50:23: models[2].image.programs[1]: no folder tools/usr/bin",
	}
	if diff := cmp.Diff(want, fault.DetailsOf(err)); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}

	delete(repo, "libs/features")
	delete(repo, "models/url-risk/train.py/x")
	repo["libs/features/a.py"] = &fstest.MapFile{}
	repo["models/url-risk/train.py"] = &fstest.MapFile{}
	repo["models/url-risk/sample.json"] = &fstest.MapFile{}
	repo["tools/usr/bin/tool"] = &fstest.MapFile{}
	if err := manifest.Check(m, repo); err != nil {
		t.Errorf("Check of a whole repository = %v %q", err, fault.DetailsOf(err))
	}
}

func TestCheckOfAManifestThatWasNotLoaded(t *testing.T) {
	m := manifest.Manifest{Models: []manifest.Model{{Path: "a", Train: manifest.Train{Command: []string{"../x.py"}}}}}
	want := []string{
		"towline.yaml: models[0].path: no folder a",
		"towline.yaml: models[0].train.command[0]: no file x.py",
	}
	if diff := cmp.Diff(want, fault.DetailsOf(manifest.Check(m, fstest.MapFS{}))); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}
