package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/lint"
	"gitlab.com/towline/towline/pkg/lint/leaks"
	"gitlab.com/towline/towline/pkg/report"
	"gitlab.com/towline/towline/pkg/workspace"
)

// tellLint prints the findings and writes the reports that were asked for.
func (a *app) tellLint(in *lintInput, found report.Lint, o lintOptions) error {
	for _, tool := range found.Tools {
		if tool.State == "absent" {
			fmt.Fprintf(a.stderr, "towline: %s is not run: %s\n", tool.Name, tool.Why)
		}
	}
	for _, wanted := range o.reports {
		format, file, _ := strings.Cut(wanted, "=")
		text, err := report.EncodeLint(format, found, lint.Catalogue(), a.version)
		if err != nil {
			return fault.Newf(fault.Bug, "write the report %s: %w", wanted, err)
		}
		if err := in.writeReport(file, text); err != nil {
			return err
		}
	}
	text := report.LintText(found, report.LintStyle{Color: a.color()})
	if o.format != "text" {
		var err error
		if text, err = report.EncodeLint(o.format, found, lint.Catalogue(), a.version); err != nil {
			return fault.Newf(fault.Bug, "write the findings as %s: %w", o.format, err)
		}
	}
	_, err := a.stdout.Write(text)
	return err
}

// writeReport writes a report, relative to the folder of the command, and the folders above it.
func (in *lintInput) writeReport(name string, text []byte) error {
	file := name
	if !filepath.IsAbs(file) {
		file = filepath.Join(in.reports, file)
	}
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = workspace.ReplaceFile(file, text)
	}
	if err != nil {
		return fault.Newf(fault.Usage, "--report %s: %w", name, cause(err)).Hintf("name a file that can be written")
	}
	return nil
}

func cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// writeBaseline takes the findings for known.
func (a *app) writeBaseline(in *lintInput, found report.Lint, o lintOptions) error {
	if err := in.toolFault(); err != nil {
		return err
	}
	text, err := lint.NewBaseline(found.Findings).Encode()
	if err != nil {
		return fault.Newf(fault.Bug, "write %s: %w", lint.BaselineFile, err)
	}
	if o.dry.on {
		old, _ := in.dir.ReadFile(lint.BaselineFile)
		_, err := a.stdout.Write(report.Diff(lint.BaselineFile, old, text))
		return err
	}
	if err := in.replace(lint.BaselineFile, text); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "wrote %s: %s known from now on; commit it\n", lint.BaselineFile, amount(len(found.Findings), "finding"))
	return nil
}

// showFix prints a fix as a diff. A diff repeats lines of the file, so that of a
// file with a credential is not printed.
func (a *app) showFix(f lint.Finding, old, text []byte) error {
	finder, err := leaks.New()
	if err != nil {
		return fault.Newf(fault.Bug, "read the rules for credentials: %w", err)
	}
	if len(finder.Find(f.Fix.Path, strings.Split(string(old), "\n"))) > 0 {
		_, err := fmt.Fprintf(a.stdout, "%s: %s %s would be mended; the diff is not shown, since the file holds what looks like a credential\n",
			f.Fix.Path, f.Rule, f.Name)
		return err
	}
	_, err = a.stdout.Write(report.Diff(f.Fix.Path, old, text))
	return err
}

// fix writes what is certain, or shows it. Two fixes of one file are made one
// run after the other.
func (a *app) fix(in *lintInput, found report.Lint, o lintOptions) error {
	fixed := map[string]bool{}
	for _, f := range found.Findings {
		if f.Fix == nil || fixed[f.Fix.Path] {
			continue
		}
		text, err := f.Fix.Content()
		if err != nil {
			return fault.Newf(fault.Repository, "mend %s: %w", f.Fix.Path, err)
		}
		fixed[f.Fix.Path] = true
		if o.dry.on {
			old, _ := in.dir.ReadFile(f.Fix.Path)
			if err := a.showFix(f, old, text); err != nil {
				return err
			}
			continue
		}
		if err := in.replace(f.Fix.Path, text); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "mended %s: %s %s\n", f.Fix.Path, f.Rule, f.Name)
	}
	if len(fixed) == 0 {
		fmt.Fprintln(a.stdout, "nothing that is certain to mend")
	}
	return nil
}

// replace writes a file of the repository whole, and through no link.
func (in *lintInput) replace(name string, text []byte) error {
	if info, err := in.dir.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return fault.Newf(fault.Repository, "write %s: found a link or a folder, wanted a file", name).Hintf("remove it, and run this again")
	}
	if err := workspace.ReplaceIn(in.dir, name, text); err != nil {
		return fault.Newf(fault.Denied, "write %s: %w", name, cause(err)).Hintf("check who owns the file and its folder")
	}
	return nil
}
