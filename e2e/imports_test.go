// Package e2e_test proves the house as a whole: its law, its commands and its
// pipelines, with clients that nobody here wrote.
package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The floors of the house. A room imports rooms of lower floors only; a part of
// the local cloud has floors of its own.
const (
	floorBase    = iota // what even the ground stands on
	floorGround         // knows nothing of models
	floorNouns          // what things are
	floorDecides        // what follows from them, and what is read
	floorTools          // doers that other doers may use
	floorDoes           // what changes the world
	floorCloud          // the embedded cloud, a world of its own
	floorFakes          // fakes for tests
	floorHall           // the one that talks to the user
	floorMain           // the programs
	floorTests          // e2e and bench, which may look at everything
)

// A room is one package of the house.
type room struct {
	floor int
	pure  bool
	uses  []string // packages that the law forbids elsewhere, with the reason beside
}

// rooms lists every package by its folder. A new one is entered here first.
var rooms = map[string]room{
	"examples":    {floor: floorBase, pure: true},
	"pkg/fault":   {floor: floorBase, pure: true},
	"pkg/secret":  {floor: floorBase, pure: true, uses: []string{"log/slog"}}, // names the interface slog.LogValuer
	"pkg/archive": {floor: floorGround},
	"pkg/proc":    {floor: floorGround},
	"pkg/wire":    {floor: floorGround},

	"pkg/lint/python": {floor: floorNouns, pure: true},
	"pkg/manifest":    {floor: floorNouns, pure: true},
	"pkg/record":      {floor: floorNouns, pure: true},
	"pkg/release":     {floor: floorNouns, pure: true},

	"pkg/requirements": {floor: floorNouns, pure: true},
	"pkg/lint/leaks":   {floor: floorNouns, pure: true}, // part of the linter, which imports it

	"pkg/ci":        {floor: floorDecides},
	"pkg/evidence":  {floor: floorDecides, pure: true},
	"pkg/doctor":    {floor: floorDecides, pure: true},
	"pkg/drift":     {floor: floorDecides, pure: true},
	"pkg/gate":      {floor: floorDecides, pure: true},
	"pkg/gitlog":    {floor: floorDecides},
	"pkg/lint":      {floor: floorDecides},
	"pkg/plan":      {floor: floorDecides, pure: true},
	"pkg/workspace": {floor: floorDecides},

	"pkg/bundle":     {floor: floorTools},
	"pkg/lint/tools": {floor: floorTools}, // runs other linters, for the hall
	"pkg/airflow":    {floor: floorDoes},
	"pkg/cloud":      {floor: floorDoes},
	"pkg/gitlab":     {floor: floorDoes},
	"pkg/report":     {floor: floorDoes},

	"pkg/cli": {floor: floorHall},

	"cmd/docgen":          {floor: floorMain},
	"cmd/pin":             {floor: floorMain},
	"cmd/towline":         {floor: floorMain},
	"cmd/towline-trigger": {floor: floorMain},
}

// localFloors are the floors within the local cloud, by folder.
var localFloors = map[string]int{
	"pkg/localcloud/protocol": 0,
	"pkg/localcloud/store":    0,
	"pkg/localcloud/runtime":  1,
	"pkg/localcloud/logs":     2,
	"pkg/localcloud/objects":  2,
	"pkg/localcloud/registry": 2,
	"pkg/localcloud/sts":      2,

	"pkg/localcloud/sagemaker": 3,
	"pkg/localcloud":           4,
}

// homes says which rooms may import a library; a folder stands for those below
// it too. A library that is not listed has no home yet, and is refused.
var homes = map[string][]string{
	"github.com/CycloneDX/cyclonedx-go":      {"pkg/evidence"},
	"github.com/Masterminds/semver":          {"pkg/release"},
	"github.com/aws/":                        {"pkg/cloud", "pkg/airflow", "cmd/towline-trigger"},
	"github.com/go-jose/go-jose":             {"pkg/localcloud/sts", "internal/gitlabtest"},
	"github.com/gofrs/flock":                 {"pkg/workspace", "pkg/gitlog", "pkg/bundle", "pkg/localcloud"},
	"github.com/google/go-containerregistry": {"pkg/bundle", "pkg/localcloud"},
	"github.com/google/renameio":             {"pkg/workspace", "pkg/bundle", "pkg/localcloud"},
	"github.com/hashicorp/go-retryablehttp":  {"pkg/wire"},
	"github.com/docker/cli/cli/config":       {"pkg/cli"},
	"github.com/invopop/jsonschema":          {"cmd/docgen"},
	"github.com/johannesboyne/gofakes3":      {"pkg/localcloud/objects"},
	"github.com/klauspost/compress":          {"pkg/archive", "pkg/bundle", "pkg/localcloud"},
	"github.com/moby/patternmatcher":         {"pkg/bundle", "pkg/lint"},
	"github.com/pelletier/go-toml":           {"pkg/lint"},
	"github.com/schollz/progressbar":         {"pkg/cli"},
	"github.com/spf13/cobra":                 {"pkg/cli", "cmd/docgen"},
	"github.com/spf13/cobra/doc":             {"cmd/docgen"},
	"github.com/spf13/pflag":                 {"pkg/cli", "cmd/docgen"},
	"github.com/zricethezav/gitleaks":        {"pkg/lint"},
	"golang.org/x/sync":                      {"pkg"},
	"golang.org/x/text":                      {"pkg/lint/python"},
	"golang.org/x/sys":                       {"pkg/proc", "pkg/workspace", "pkg/localcloud"},
	"golang.org/x/term":                      {"pkg/cli"},
	"gopkg.in/yaml.v3":                       {"pkg/manifest", "pkg/lint"},
}

func TestTheHouseKeepsItsLaw(t *testing.T) {
	sources := readHouse(t, "..")
	for _, s := range sources {
		for _, breach := range breaches(s) {
			t.Error(breach)
		}
	}
	if len(sources) < 50 {
		t.Errorf("found %d Go files, want the whole house", len(sources))
	}
}

// readHouse parses every Go file of the repository.
func readHouse(t *testing.T, root string) []source {
	t.Helper()
	var sources []source
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
			return filepath.SkipDir
		}
		if entry.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(rel), string(text))
		sources = append(sources, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}
