package cli

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/proc"
	"gitlab.com/towline/towline/pkg/report"
	"gitlab.com/towline/towline/pkg/workspace"
)

func newTest(a *app) *cobra.Command {
	var dry dryRun
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Run the model's own tests in its locked environment",
		Long: "Run the command that the manifest names as test:, in the model's folder, with the\n" +
			"model's Python and the very dependencies that its image gets. On top come what\n" +
			"requirements-test.txt or requirements-dev.txt name, the dev group and the extras\n" +
			"of a pyproject.toml, or else pytest and pytest-cov. Results and coverage go to\n" +
			".towline/reports/test.xml and coverage.xml. Tests that fail are exit code 9.",
		Example: "  towline test\n  towline test --model url-risk --output json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runTest(cmd.Context(), dry) },
	}
	dry.register(cmd)
	return cmd
}

// tested is what came of one model's tests.
type tested struct {
	Model    string   `json:"model"`
	Command  []string `json:"command"`
	Tests    int      `json:"tests"`
	Failed   int      `json:"failed"`
	Skipped  int      `json:"skipped"`
	Coverage *float64 `json:"coverage,omitempty"` // percent of lines
}

func (a *app) runTest(ctx context.Context, dry dryRun) error {
	// Read.
	repo, err := a.repository()
	if err != nil {
		return err
	}
	models, err := a.models(repo.manifest)
	if err != nil {
		return err
	}

	// Act.
	var all []tested
	var failed error
	for _, model := range models {
		if len(model.Test) == 0 {
			fmt.Fprintf(a.stderr, "test %s: nothing to do: the manifest names no test:\n", model.Name)
			continue
		}
		if dry.on {
			fmt.Fprintf(a.stdout, "test %s: %s\n", model.Name, strings.Join(model.Test, " "))
			continue
		}
		result, err := a.testModel(ctx, repo, model)
		if err != nil && fault.KindOf(err) != fault.Model {
			return err
		}
		failed = errors.Join(failed, err)
		all = append(all, result)
	}

	// Tell.
	if err := a.tellTested(all, dry); err != nil {
		return err
	}
	if failed != nil {
		return fault.Newf(fault.Model, "%w", failed).Hintf("read what the tests say above")
	}
	return nil
}

func (a *app) tellTested(all []tested, dry dryRun) error {
	if a.output == "json" && !dry.on {
		return a.printJSON(map[string]any{"models": all})
	}
	for _, t := range all {
		fmt.Fprintf(a.stdout, "test %s: %d tests, %d failed, %d skipped\n", t.Model, t.Tests, t.Failed, t.Skipped)
		if t.Coverage != nil {
			fmt.Fprintf(a.stdout, "coverage: %.1f%%\n", *t.Coverage)
		}
	}
	return nil
}

// testModel runs one model's tests and leaves their reports.
func (a *app) testModel(ctx context.Context, repo repository, model manifest.Model) (tested, error) {
	result := tested{Model: model.Name, Command: model.Test}
	b, err := a.newBundler(a.teller(), nil)
	if err != nil {
		return result, err
	}
	bed, err := b.Testbed(ctx, plan.Package{
		Root: repo.root, Path: model.Path, Requirements: model.Image.Requirements, Python: model.Image.Python,
		Platform: destination{local: true}.platform(model.Image), Base: bundle.Scratch,
	})
	if err != nil {
		return result, err
	}
	if err := repo.workspace.Create(); err != nil {
		return result, err
	}
	reports := repo.workspace.Reports(repo.manifest, model.Name)
	cases, coverage := filepath.Join(reports, "test.xml"), filepath.Join(reports, "coverage.xml")
	for _, old := range []string{cases, coverage} {
		_ = os.Remove(old)
	}
	ended := a.testCommand(repo, model, bed, cases, coverage).Run(ctx)
	if ctx.Err() != nil {
		return result, context.Cause(ctx)
	}
	if _, err := os.Stat(cases); err != nil {
		if err := workspace.WriteFile(cases, report.JUnitOfCommand(model.Name, model.Test, ended)); err != nil {
			return result, err
		}
	}
	result.read(cases, coverage)
	return result, testEnd(model, ended)
}

// testCommand is the model's command in its environment. Pytest, however it is
// started, takes its further options from a variable.
func (a *app) testCommand(repo repository, model manifest.Model, bed, cases, coverage string) proc.Command {
	folder := filepath.Join(repo.root, filepath.FromSlash(path.Clean(model.Path)))
	options := fmt.Sprintf("-p no:cacheprovider --junitxml='%s'", cases)
	if found, _ := filepath.Glob(filepath.Join(bed, "lib", "python*", "site-packages", "pytest_cov")); len(found) > 0 {
		options += fmt.Sprintf(" --cov=. --cov-report= --cov-report=xml:'%s'", coverage)
	}
	env := append(a.environ[:len(a.environ):len(a.environ)],
		"VIRTUAL_ENV="+bed, "PATH="+filepath.Join(bed, "bin")+string(os.PathListSeparator)+a.getenv("PATH"),
		"PYTHONDONTWRITEBYTECODE=1", "COVERAGE_FILE="+filepath.Join(filepath.Dir(coverage), ".coverage"),
		"PYTEST_ADDOPTS="+strings.TrimSpace(a.getenv("PYTEST_ADDOPTS")+" "+options))
	name := model.Test[0]
	if program := filepath.Join(bed, "bin", name); !strings.Contains(name, "/") {
		if _, err := os.Stat(program); err == nil {
			name = program
		}
	}
	return proc.Command{Name: name, Args: model.Test[1:], Dir: folder, Env: env, Stdout: a.stderr, Stderr: a.stderr}
}

// noTests is pytest's exit code for "no tests were collected".
const noTests = 5

func testEnd(model manifest.Model, ended error) error {
	var exit *proc.ExitError
	switch {
	case ended == nil:
		return nil
	case !errors.As(ended, &exit):
		return fault.Newf(fault.Missing, "test %s: %w", model.Name, ended).
			Hintf("name the tool that has %s in requirements-test.txt, or correct test: in %s", model.Test[0], manifest.File)
	case exit.Code == noTests && strings.Contains(strings.Join(model.Test, " "), "pytest"):
		return fault.Newf(fault.Repository, "test %s: pytest found no tests", model.Name).
			Hintf("add tests, or remove test: from %s", manifest.File)
	}
	return fault.Newf(fault.Model, "test %s: %s ended with code %d", model.Name, strings.Join(model.Test, " "), exit.Code)
}

// read takes the figures out of the reports, as far as they have them.
func (t *tested) read(cases, coverage string) {
	type suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
	}
	var results struct {
		Suites []suite `xml:"testsuite"`
	}
	if text, err := os.ReadFile(cases); err == nil && xml.Unmarshal(text, &results) == nil {
		for _, s := range results.Suites {
			t.Tests, t.Failed, t.Skipped = t.Tests+s.Tests, t.Failed+s.Failures+s.Errors, t.Skipped+s.Skipped
		}
	}
	var covered struct {
		Rate *float64 `xml:"line-rate,attr"`
	}
	if text, err := os.ReadFile(coverage); err == nil && xml.Unmarshal(text, &covered) == nil && covered.Rate != nil {
		percent := math.Floor(*covered.Rate*1000) / 10
		t.Coverage = &percent
	}
}
