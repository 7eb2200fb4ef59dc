package cli

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/lint"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/report"
)

type lintOptions struct {
	format   string
	reports  []string
	failOn   string
	profile  string
	changed  bool
	explain  string
	list     bool
	fix      bool
	baseline bool
	dry      dryRun
}

func newLint(a *app) *cobra.Command {
	var o lintOptions
	cmd := &cobra.Command{
		Use:   "lint [PATH...]",
		Short: "Find what breaks the repository on its way to production",
		Long: "Look at the repository with Towline's own rules, and with pylint and ruff where\n" +
			"they are installed, and tell what would break training, packaging or serving.\n" +
			"With PATHs, findings in these files and folders only. A finding of the severity\n" +
			"--fail-on or above is exit code 3.\n\n" +
			"A comment silences a rule for its line, or for the next one if it stands alone:\n" +
			"  # towline: ignore TL101 reason          # towline: ignore-file TL101 reason\n" +
			"Profile, severities, excluded paths and tools are in towline.yaml, under lint.",
		Example: "  towline lint\n  towline lint --changed --report codequality=gl-code-quality-report.json\n" +
			"  towline lint --explain TL101\n  towline lint --fix --dry-run",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return runLint(cmd.Context(), a, o, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.format, "format", "", "text, json, codequality, sarif or junit, on stdout; --output json means json")
	flags.StringArrayVar(&o.reports, "report", nil, "FORMAT=PATH: write a report to a file too; may be given several times")
	flags.StringVar(&o.failOn, "fail-on", "", "info, minor, major, critical or blocker: findings from here on are an error")
	flags.StringVar(&o.profile, "profile", "", "prototype, team or production, instead of the one that is detected")
	flags.BoolVar(&o.changed, "changed", false, "only files changed since the merge request's base, or the default branch")
	flags.StringVar(&o.explain, "explain", "", "tell all about one rule, such as TL101, and look at nothing")
	flags.BoolVar(&o.list, "list", false, "list the rules, and look at nothing")
	flags.BoolVar(&o.fix, "fix", false, "mend what is certain: outputs of notebooks, missing pins, .dockerignore")
	flags.BoolVar(&o.baseline, "write-baseline", false, "take all findings for known from now on, in "+lint.BaselineFile)
	flags.BoolVar(&o.dry.on, "dry-run", false, "with --fix or --write-baseline: show what would change, and change nothing")
	return cmd
}

func runLint(ctx context.Context, a *app, o lintOptions, paths []string) error {
	if o.explain != "" || o.list {
		return a.explainRules(o)
	}
	if err := o.check(a, paths); err != nil {
		return err
	}

	// Read.
	in, err := a.lintInput(ctx, o, paths)
	if err != nil {
		return err
	}
	defer in.close()

	// Decide.
	result, broken := lint.Run(ctx, in.options)
	if broken != nil && result.Profile == "" {
		return broken
	}
	found := in.findings(result, o)

	// Act, and tell.
	switch {
	case o.fix:
		err = a.fix(in, found, o)
		found.Findings = slices.DeleteFunc(found.Findings, func(f lint.Finding) bool { return f.Fix != nil })
	case o.baseline:
		return a.writeBaseline(in, found, o)
	default:
		err = a.tellLint(in, found, o)
	}
	return firstError(err, broken, in.toolFault(), lintFault(found, o))
}

// checkStage is the check stage of towline run: Towline's own rules, in the profile
// of the repository. It says in a few words what it found; findings that are
// an error are printed, and end the run.
func (a *app) checkStage(ctx context.Context) (said string, err error) {
	in, err := a.lintInput(ctx, lintOptions{}, nil)
	if err != nil {
		return "", err
	}
	defer in.close()
	in.options.Others = nil
	result, err := lint.Run(ctx, in.options)
	if err != nil {
		return "", err
	}
	found := in.findings(result, lintOptions{})
	if err := lintFault(found, lintOptions{}); err != nil {
		found.Findings = slices.DeleteFunc(found.Findings, func(f lint.Finding) bool { return f.Severity < found.FailOn })
		_, _ = a.stderr.Write(report.LintText(found, report.LintStyle{}))
		return "", err
	}
	if n := len(found.Findings); n > 0 {
		return fmt.Sprintf("%s, %s below %s: towline lint", amount(found.Files, "file"), amount(n, "finding"), found.FailOn), nil
	}
	return amount(found.Files, "file") + ", no findings", nil
}

// check refuses flags that do not go together, or say nothing known.
func (o *lintOptions) check(a *app, paths []string) error {
	if o.format == "" {
		o.format = a.output
	}
	if !slices.Contains(report.LintFormats(), o.format) {
		return fault.Newf(fault.Usage, "--format %s: wanted text, json, codequality, sarif or junit", o.format)
	}
	for _, r := range o.reports {
		format, file, ok := strings.Cut(r, "=")
		if !ok || file == "" || !slices.Contains(report.LintFormats(), format) {
			return fault.Newf(fault.Usage, "--report %s: wanted FORMAT=PATH, with text, json, codequality, sarif or junit for FORMAT", r)
		}
	}
	if s, ok := lint.ParseSeverity(o.failOn); o.failOn != "" && (!ok || s == lint.Off) {
		return fault.Newf(fault.Usage, "--fail-on %s: wanted info, minor, major, critical or blocker", o.failOn)
	}
	profiles := []lint.Profile{"", lint.Prototype, lint.Team, lint.Production}
	if !slices.Contains(profiles, lint.Profile(o.profile)) {
		return fault.Newf(fault.Usage, "--profile %s: wanted prototype, team or production", o.profile)
	}
	return o.checkTogether(paths)
}

// checkTogether refuses flags that do not go together.
func (o *lintOptions) checkTogether(paths []string) error {
	switch {
	case o.baseline && (o.changed || len(paths) > 0):
		return fault.Newf(fault.Usage, "--write-baseline is about the whole repository: it goes without --changed and paths")
	case o.baseline && o.fix:
		return fault.Newf(fault.Usage, "--fix and --write-baseline do not go together").Hintf("mend first, and then write the baseline")
	case o.dry.on && !o.baseline && !o.fix:
		return fault.Newf(fault.Usage, "--dry-run goes with --fix or --write-baseline").Hintf("towline lint by itself changes nothing")
	}
	return nil
}

// lintInput is what the linter is given, and what became of the tools.
type lintInput struct {
	reports  string // folder that reports are relative to
	root     string
	dir      *os.Root
	manifest manifest.Manifest // empty if there is no valid one
	options  lint.Options
	failOn   lint.Severity // 0 for that of the profile
	tools    []report.Tool
	faults   []error
}

func (in *lintInput) close() { _ = in.dir.Close() }

// findings are the result as it is told.
func (in *lintInput) findings(result lint.Result, o lintOptions) report.Lint {
	l := report.Lint{Result: result, FailOn: lint.FailOn(result.Profile), Tools: in.tools}
	if in.failOn != lint.Off {
		l.FailOn = in.failOn
	}
	if s, ok := lint.ParseSeverity(o.failOn); ok {
		l.FailOn = s
	}
	return l
}

// lintFault is the error of findings, if there are any that are one.
func lintFault(l report.Lint, o lintOptions) error {
	n := l.Failing()
	if n == 0 {
		return nil
	}
	hint := "mend them, or silence one with a comment: # towline: ignore RULE reason; towline lint --explain RULE tells more"
	if n > 20 && !o.changed {
		hint = "mend them, or take them for known and go on from here: towline lint --write-baseline"
	}
	return fault.Newf(fault.Repository, "lint: %s of severity %s or above", amount(n, "finding"), l.FailOn).Hintf("%s", hint)
}

func amount(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// firstError is the first of several errors; a cancelled run comes before all.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// explainRules prints the catalogue, or one rule of it.
func (a *app) explainRules(o lintOptions) error {
	rules := lint.Catalogue()
	if o.explain == "" {
		_, err := a.stdout.Write(report.RuleList(rules))
		return err
	}
	i := slices.IndexFunc(rules, func(r lint.Rule) bool { return strings.EqualFold(r.ID, o.explain) || r.Name == o.explain })
	if i < 0 {
		return fault.Newf(fault.Usage, "--explain %s: there is no such rule", o.explain).Hintf("see: towline lint --list")
	}
	_, err := a.stdout.Write(report.RuleText(rules[i]))
	return err
}

// readSettings reads the manifest's section lint; what is wrong with the
// manifest is the rules' to tell.
func (in *lintInput) readSettings(fsys fs.FS) {
	m, err := manifest.Read(fsys)
	if err != nil {
		return
	}
	in.manifest = m
	in.options.Settings = lint.SettingsOf(m.Lint)
	in.options.Profile = lint.Profile(m.Lint.Profile)
	in.failOn, _ = lint.ParseSeverity(m.Lint.FailOn)
}
