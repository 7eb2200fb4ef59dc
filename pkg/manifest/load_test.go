package manifest_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
)

func load(t *testing.T, file string) manifest.Manifest {
	t.Helper()
	m, err := manifest.Load(read(t, file))
	if err != nil {
		t.Fatalf("Load(%s): %v\n%s", file, err, strings.Join(fault.DetailsOf(err), "\n"))
	}
	return m
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func float(f float64) *float64 { return &f }

func TestLoadFillsInDefaults(t *testing.T) {
	got := load(t, "testdata/least.yaml")
	want := manifest.Manifest{
		APIVersion: manifest.APIVersion,
		Project:    "demo",
		Models: []manifest.Model{{
			Name:    "flowers",
			Path:    ".",
			Version: manifest.Version{Initial: "0.1.0", Always: "none"},
			Image: manifest.Image{
				Platforms: []string{"linux/amd64"}, Python: "3.11", Repository: manifest.ImageRepository{Immutable: true, Scan: true},
			},
			Train: manifest.Train{
				Command: []string{"python", "train.py"}, Instance: "ml.m5.large", Count: 1, VolumeGB: 30,
				MaxRuntime: manifest.Duration(24 * time.Hour),
			},
		}},
		Lint: manifest.Lint{Tools: manifest.LintTools{Pylint: "auto", Ruff: "auto", Timeout: manifest.Duration(15 * time.Minute)}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(manifest.Manifest{})); diff != "" {
		t.Errorf("Load(least.yaml) (-want +got):\n%s", diff)
	}
}

func TestLoadReadsEveryKey(t *testing.T) {
	got := load(t, "testdata/full.yaml")
	model, ok := got.Model("url-risk")
	if !ok {
		t.Fatal("Model(url-risk) is not there")
	}
	want := manifest.Model{
		Name: "url-risk", Path: "models/url-risk", Shared: []string{"libs/features"},
		Version: manifest.Version{
			Initial: "1.0.0", Exclude: []string{"models/url-risk/docs"}, Always: "patch",
			Bumps: map[string]string{"docs": "patch", "perf": "none"},
		},
		Image: manifest.Image{
			Base: "public.ecr.aws/docker/library/python:3.12-slim", Platforms: []string{"linux/amd64", "linux/arm64/v8"},
			Python: "3.12", Requirements: "requirements.txt", Repository: manifest.ImageRepository{Scan: true, Keep: 200},
		},
		Train: manifest.Train{
			Command:         []string{"python", "train.py", "--data", ""},
			Channels:        map[string]string{"train": "s3://data-bucket/train/", "test": "data/test"},
			Hyperparameters: manifest.Scalars{"depth": "6", "lr": "1e-3", "wide": "yes", "name": "x y", "since": "2024-01-01"},
			Environment:     manifest.Scalars{"OMP_NUM_THREADS": "1"},
			Instance:        "ml.m5.xlarge", Count: 2, VolumeGB: 50, Spot: true, MaxRuntime: manifest.Duration(2 * time.Hour),
		},
		Evaluate: &manifest.Evaluate{
			File: "scores/evaluation.json", Channel: "test", Command: []string{"python", "evaluate.py"}, Champion: manifest.ChampionRecorded,
			Gate: []manifest.Rule{
				{Metric: "f1", Better: "higher", AtLeast: float(0.8), MayDrop: float(0.005)},
				{Metric: "log loss", Better: "lower", AtMost: float(1), MayRise: float(0)},
			},
		},
		Serve: &manifest.Serve{
			Command: []string{"python", "serve.py"}, Instance: "ml.m5.large", Count: 3,
			Environment: manifest.Scalars{"LOG_LEVEL": "info", "EMPTY": ""}, Startup: manifest.Duration(90 * time.Second),
			Sample: &manifest.Sample{File: "sample.json", ContentType: "text/csv"},
		},
	}
	if diff := cmp.Diff(want, model); diff != "" {
		t.Errorf("Model(url-risk) (-want +got):\n%s", diff)
	}
	prod, ok := got.Environment("prod")
	if !ok || prod.Tags["cost-center"] != "42" || prod.VPC.Subnets[0] != "subnet-0a1b2c3d" {
		t.Errorf("Environment(prod) = %+v, %v", prod, ok)
	}
	if diff := cmp.Diff([][]string{{"url-risk", "domain-risk"}}, got.Linked); diff != "" {
		t.Errorf("Linked (-want +got):\n%s", diff)
	}
	lint := manifest.Lint{
		Profile: "production", FailOn: "critical", Exclude: []string{"third_party/", "*_pb2.py"},
		Rules: map[string]manifest.LintRule{
			"TL101":                {Severity: "minor", Exclude: []string{"fixtures/"}},
			"pylint:unused-import": {Severity: "off"}, "ruff": {Exclude: []string{"notebooks/"}},
		},
		Tools: manifest.LintTools{Pylint: "off", Ruff: "required", Timeout: manifest.Duration(15 * time.Minute)},
	}
	if diff := cmp.Diff(lint, got.Lint); diff != "" {
		t.Errorf("Lint (-want +got):\n%s", diff)
	}
	if _, ok := got.Environment(manifest.Local); ok {
		t.Error("Environment(local) is in the manifest, wanted it built in")
	}
}

func TestLoadTellsEveryProblemAtOnce(t *testing.T) {
	_, err := manifest.Load([]byte(`apiVersion: towline/v2
project: Threat_Scoring
models:
  - name: a
    trian:
      command: [python]
    train:
      command: python train.py
      count: 0
      count: 3
extra: 1
`))
	if fault.KindOf(err) != fault.Repository || err.Error() != "read towline.yaml: 7 problems" || fault.HintOf(err) == "" {
		t.Errorf("Load = %v, kind %v, hint %q", err, fault.KindOf(err), fault.HintOf(err))
	}
	want := []string{
		"towline.yaml:1:13: apiVersion: found towline/v2, wanted towline/v1",
		"towline.yaml:2:10: project: Threat_Scoring is not a name of lower-case letters, digits and single hyphens between them, 32 at most",
		"towline.yaml:5:5: models[0].trian: unknown key, did you mean train?",
		`towline.yaml:8:16: models[0].train.command: found the text "python train.py", wanted a list: [python, train.py]`,
		"towline.yaml:9:14: models[0].train.count: 0 is out of range, wanted 1 to 1000",
		"towline.yaml:10:7: models[0].train.count: the key stands here twice, first in line 9",
		"towline.yaml:11:1: extra: unknown key",
	}
	if diff := cmp.Diff(want, fault.DetailsOf(err)); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}

func TestLoadOfWhatIsNoManifest(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
	}{
		{"nothing", "", "towline.yaml:1:1: the file says nothing: it must give apiVersion, project and models"},
		{"only a comment", "# later\n", "towline.yaml:1:1: the file says nothing: it must give apiVersion, project and models"},
		{"only a null", "~\n", "towline.yaml:1:1: the file says nothing: it must give apiVersion, project and models"},
		{"a list", "- a\n", "towline.yaml:1:1: found a list, wanted a map of keys to values"},
		{"two documents", "apiVersion: towline/v1\n---\na: 1\n", "towline.yaml:2:1: a second YAML document begins here: a manifest is a single one"},
		{"a tab", "apiVersion: towline/v1\nmodels:\n\t- name: a\n", "towline.yaml:3:1: not YAML: a tab stands here: YAML is indented with spaces"},
		{"a value that goes on wrongly", "apiVersion: towline/v1\nproject: a\n  b: c\n", "towline.yaml:3:3: not YAML: mapping values are not allowed in this context"},
		{"a list that is never closed", "project: a\nmodels: [\n", "towline.yaml:2:1: not YAML: did not find expected node content"},
		{"a stray key in a list", "models:\n  - name: a\n  train: 1\n", "towline.yaml:3:3: not YAML: did not find expected '-' indicator"},
		{"an unknown anchor", "project: *name\n", "towline.yaml:1:1: not YAML: unknown anchor 'name' referenced"},
		{"bytes that are no text", "project: \xff\n", "towline.yaml:1:10: not YAML: this is not UTF-8 text"},
		{"a file without end", strings.Repeat("# comment\n", 200_000), "towline.yaml: the file has more than 1048576 bytes, which is the most a manifest may have"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := manifest.Load([]byte(tt.text))
			got := fault.DetailsOf(err)
			if len(got) == 0 || got[0] != tt.want {
				t.Errorf("Load = %v %q, want first %q", err, got, tt.want)
			}
		})
	}
}

func TestReadOfAFolder(t *testing.T) {
	m, err := manifest.Read(fstest.MapFS{"towline.yaml": {Data: read(t, "testdata/least.yaml")}})
	if err != nil || m.Project != "demo" {
		t.Errorf("Read = %+v, %v", m, err)
	}
	_, err = manifest.Read(fstest.MapFS{})
	if fault.KindOf(err) != fault.Missing || fault.HintOf(err) == "" {
		t.Errorf("Read(empty folder) = %v, kind %v", err, fault.KindOf(err))
	}
	_, err = manifest.Read(fstest.MapFS{"towline.yaml/x": {}})
	if fault.KindOf(err) != fault.Repository {
		t.Errorf("Read(folder for a file) = %v, kind %v", err, fault.KindOf(err))
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(read(f, "testdata/full.yaml"))
	f.Add(read(f, "testdata/least.yaml"))
	f.Add([]byte("models: &a [*a]\n"))
	f.Add([]byte("models:\n\t- {<<: 1, ? [a]: b}\n"))
	f.Add([]byte("a: &a [x,x]\nb: &b [*a,*a]\nmodels: [*b,*b]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := manifest.Load(data)
		if err == nil {
			_ = manifest.Check(m, fstest.MapFS{})
			return
		}
		if fault.KindOf(err) != fault.Repository || len(fault.DetailsOf(err)) == 0 {
			t.Errorf("Load(%q) = %v, wanted a fault of the repository with details", data, err)
		}
		for _, line := range fault.DetailsOf(err) {
			if !strings.HasPrefix(line, "towline.yaml:") || strings.ContainsAny(line, "\n\r\x1b") {
				t.Errorf("Load(%q) says %q", data, line)
			}
		}
	})
}

func TestWhereFindsAKeyOrTheOneAboveIt(t *testing.T) {
	m := load(t, "testdata/full.yaml")
	for _, tt := range []struct {
		name, key string
		line      int
	}{
		{"a value", "project", 3},
		{"a key in a list", "models[0].name", 5},
		{"a key that is not there stands for the one above it", "models[0].name.nothing", 5},
		{"nothing that is known", "nothing", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := m.Where(tt.key); got.Line != tt.line {
				t.Errorf("Where(%s) = %v, want line %d", tt.key, got, tt.line)
			}
		})
	}
}

func TestProblemsOfGivesWhatLoadFound(t *testing.T) {
	_, err := manifest.Load([]byte("apiVersion: towline/v1\nproject: A\nmodels: []\n"))
	var lines []int
	for _, p := range manifest.ProblemsOf(err) {
		lines = append(lines, p.Line)
	}
	if diff := cmp.Diff([]int{2, 3}, lines); diff != "" {
		t.Errorf("lines of the problems (-want +got):\n%s", diff)
	}
	if got := manifest.ProblemsOf(fault.Newf(fault.Usage, "another error")); got != nil {
		t.Errorf("ProblemsOf(another error) = %v, want nil", got)
	}
}
