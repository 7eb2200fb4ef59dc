package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/proc"
)

// testFiles are where a model says what its tests need, beside its
// requirements. The first one that is there counts.
var testFiles = []string{"requirements-test.txt", "requirements-dev.txt"}

// retryTestbed is how often an environment that another run makes is looked for.
const retryTestbed = 200 * time.Millisecond

// testTools are what tests are run with where the model does not say.
var testTools = []string{"pytest==9.2.0", "pytest-cov==7.1.0"}

// Testbed makes the environment that a model's tests run in, or finds the one
// that an earlier run made: a virtual environment of the model's Python with
// the dependencies of the image, as they are locked, and on top what the tests
// need. It returns the environment's folder.
//
// What the tests need are a requirements-test.txt or requirements-dev.txt, the
// dev group and the extra "test" of a pyproject.toml, or else pytest and
// pytest-cov. None of it changes a version that the model has locked.
func (b *Bundler) Testbed(ctx context.Context, a plan.Package) (string, error) {
	uv, err := b.findUV()
	if err != nil {
		return "", err
	}
	if uv == "" {
		return "", fault.Newf(fault.Missing, "prepare the tests: found no uv").
			Hintf("install uv and put it on the PATH, or name it by TOWLINE_UV")
	}
	job, err := b.installation(a)
	if err != nil {
		return "", err
	}
	bed := &testbed{Bundler: b, uv: uv, python: a.Python, job: job}
	if err := bed.readExtras(a); err != nil {
		return "", err
	}
	return bed.open(ctx)
}

// testbed is an environment for tests.
type testbed struct {
	*Bundler
	uv     string
	folder string        // where uv runs: settings of a project are found from there
	python string        // minor version
	job    *installation // the model's own dependencies, or nil
	extras string        // requirements file of the tests, or ""
	more   string        // hash of it
}

func (t *testbed) readExtras(a plan.Package) error {
	folder := filepath.Join(a.Root, filepath.FromSlash(path.Clean(a.Path)))
	if a.Requirements != "" {
		folder = filepath.Dir(filepath.Join(folder, filepath.FromSlash(a.Requirements)))
	}
	t.folder = folder
	for _, name := range testFiles {
		file := filepath.Join(folder, name)
		if _, err := os.Stat(file); err != nil {
			continue
		}
		read, err := readRequirements(file, name)
		if err != nil {
			return err
		}
		t.extras, t.more = file, read.hash
		return nil
	}
	return nil
}

func (t *testbed) key() string {
	sum := sha256.New()
	content := ""
	if t.job != nil {
		content = t.job.content
	}
	_, _ = fmt.Fprintf(sum, "test bed 1\npython %s\nrequirements %s\nextras %s\ntools %s\n",
		t.python, content, t.more, strings.Join(testTools, " "))
	return hex.EncodeToString(sum.Sum(nil))[:32]
}

// open makes the environment once, whoever else wants it at the same time.
func (t *testbed) open(ctx context.Context) (string, error) {
	folder := filepath.Join(t.o.Cache, "tests", t.key())
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return "", diskFault("make the cache", err)
	}
	lock := flock.New(folder + ".lock")
	if _, err := lock.TryLockContext(ctx, retryTestbed); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", diskFault("lock the cache", err)
	}
	defer func() { _ = lock.Unlock() }()
	done := filepath.Join(folder, ".complete")
	if _, err := os.Stat(done); err == nil {
		return folder, nil
	}
	if err := os.RemoveAll(folder); err != nil {
		return "", diskFault("make the cache", err)
	}
	if err := t.build(ctx, folder); err != nil {
		return "", err
	}
	return folder, diskFault("write the cache", os.WriteFile(done, nil, 0o644))
}

func (t *testbed) build(ctx context.Context, folder string) error {
	if err := t.call(ctx, "venv", "--quiet", "--python", t.python, "--no-python-downloads", "--no-project", folder); err != nil {
		return err
	}
	if t.job != nil {
		if err := t.installModel(ctx, folder); err != nil {
			return err
		}
	}
	fixed := filepath.Join(folder, "locked.txt")
	freeze := proc.Command{Name: t.uv, Args: []string{"pip", "freeze", "--python", folder}, Env: t.installerEnv()}
	list, err := freeze.Output(ctx)
	if err != nil {
		return t.fault(err)
	}
	if err := os.WriteFile(fixed, list, 0o644); err != nil {
		return diskFault("write the cache", err)
	}
	wanted := missingTools(string(list))
	if t.extras != "" {
		wanted = []string{"--requirements", t.extras}
	}
	if len(wanted) == 0 {
		return nil
	}
	return t.call(ctx, append(t.into(folder), append([]string{"--constraints", fixed}, wanted...)...)...)
}

// missingTools are the tools that the model does not have in a version of its own.
func missingTools(frozen string) []string {
	return slices.DeleteFunc(slices.Clone(testTools), func(tool string) bool {
		name, _, _ := strings.Cut(tool, "==")
		return strings.Contains("\n"+frozen, "\n"+name+"==")
	})
}

// installModel installs what the image has, and a project's own extras for tests.
func (t *testbed) installModel(ctx context.Context, folder string) error {
	if !t.job.project {
		return t.call(ctx, append(t.into(folder), "--requirements", t.job.file)...)
	}
	project := filepath.Dir(t.job.file)
	if !t.job.locked {
		arguments := append(t.into(folder), "--requirements", filepath.Join(project, projectFile), "--all-extras")
		if hasDevGroup(filepath.Join(project, projectFile)) {
			arguments = append(arguments, "--group", filepath.Join(project, projectFile)+":dev")
		}
		return t.call(ctx, arguments...)
	}
	list := filepath.Join(folder, "requirements.txt")
	export := proc.Command{Name: t.uv, Dir: project, Env: t.installerEnv(), Args: []string{
		"export", "--frozen", "--no-emit-workspace", "--all-extras", "--no-header", "--no-annotate", "--quiet",
		"--no-python-downloads", "--output-file", list,
	}}
	if _, err := export.Output(ctx); err != nil {
		return exportFault(t.job, err)
	}
	return t.call(ctx, append(t.into(folder), "--requirements", list)...)
}

// hasDevGroup says whether a project has a dependency group called dev.
func hasDevGroup(file string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	_, groups, found := strings.Cut(string(text), "[dependency-groups]")
	if next := strings.Index(groups, "\n["); next >= 0 {
		groups = groups[:next]
	}
	return found && strings.Contains(groups, "\ndev")
}

func (t *testbed) into(folder string) []string {
	return []string{"pip", "install", "--quiet", "--python", folder, "--no-progress", "--color", "never"}
}

// call runs uv; where the index is out of reach its own cache has to do.
func (t *testbed) call(ctx context.Context, arguments ...string) error {
	lines := &lineWriter{log: t.o.Log}
	command := proc.Command{Name: t.uv, Args: arguments, Dir: t.folder, Env: t.installerEnv(), Stderr: lines}
	err := command.Run(ctx)
	lines.flush()
	if isNetwork(err) {
		command.Args = append(arguments[:len(arguments):len(arguments)], "--offline")
		if command.Run(ctx) == nil {
			return nil
		}
	}
	return t.fault(err)
}

func (t *testbed) fault(err error) error {
	var exit *proc.ExitError
	if errors.As(err, &exit) && (noPython().MatchString(exit.Stderr) || isUnfit(err)) {
		return fault.Newf(fault.Missing, "prepare the tests: there is no Python %s on this machine", t.python).
			Hintf("install it, or correct image.python in towline.yaml")
	}
	job := t.job
	if job == nil {
		job = &installation{python: t.python}
	}
	named := *job
	if named.name == "" || t.extras != "" {
		named.name = strings.TrimPrefix(filepath.Base(t.extras), ".")
	}
	if named.name == "" {
		named.name = strings.Join(testTools, " ")
	}
	return installFault(&named, err)
}
