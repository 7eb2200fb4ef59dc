package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlog"
	"gitlab.com/towline/towline/pkg/lint"
	"gitlab.com/towline/towline/pkg/lint/tools"
	"gitlab.com/towline/towline/pkg/report"
)

// lintInput reads what the linter is given: files as git lists them, settings,
// baseline and the packages of the project's environment.
func (a *app) lintInput(ctx context.Context, o lintOptions, paths []string) (*lintInput, error) {
	reports, err := a.root()
	if err != nil {
		return nil, err
	}
	root := reports
	if a.from != "" {
		repo, err := a.repository()
		if err != nil {
			return nil, err
		}
		root = repo.root
	}
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, fault.Newf(fault.Missing, "-C %s: %w", a.dir, err)
	}
	in := &lintInput{root: root, reports: reports, dir: dir, options: lint.Options{FS: dir.FS()}}
	in.readSettings(dir.FS())
	if o.profile != "" {
		in.options.Profile = lint.Profile(o.profile)
	}
	for _, step := range []func() error{
		func() error { return a.listFiles(ctx, in, o) },
		func() error { return in.narrow(a, paths) },
		func() error { return in.readBaseline(o) },
	} {
		if err := step(); err != nil {
			in.close()
			return nil, err
		}
	}
	in.options.Installed = a.installedPackages(root)
	in.options.Others = func(ctx context.Context, repo *lint.Repo) lint.Others { return a.runTools(ctx, in, repo) }
	return in, nil
}

// listFiles asks git which files there are, and which have changed. Without
// git, or before the first commit, the folder is walked.
func (a *app) listFiles(ctx context.Context, in *lintInput, o lintOptions) error {
	if in.root != in.reports {
		return nil // what was handed over is of another project's git, and all of it counts
	}
	git, ok, err := gitlog.Open(ctx, in.root, gitlog.Options{Environ: a.environ, Log: a.log()})
	noGit := errors.Is(err, exec.ErrNotFound)
	if err != nil && !noGit {
		return err
	}
	if !ok || noGit {
		if o.changed {
			return fault.Newf(fault.Missing, "--changed: %s is not in a git repository with commits", a.dir).
				Hintf("leave --changed out, or commit first")
		}
		return nil
	}
	files, err := git.Files(ctx)
	if err != nil {
		return err
	}
	in.options.Listed, in.options.Tracked = files.All, files.Tracked
	if !o.changed {
		return nil
	}
	changed, err := git.ChangedSince(ctx, a.changeBase())
	if err != nil {
		return err
	}
	in.options.Only = append([]string{}, changed...)
	return nil
}

// changeBase is what changes are counted from: the base of the merge request,
// or the default branch, which git knows where no job names it ("").
func (a *app) changeBase() string {
	if base := a.getenv("CI_MERGE_REQUEST_DIFF_BASE_SHA"); base != "" && strings.Trim(base, "0123456789abcdef") == "" && len(base) >= 40 {
		return base
	}
	if job, ok := a.job(); ok && job.DefaultBranch != "" {
		return job.DefaultBranch
	}
	return ""
}

// narrow keeps to the paths that were named on the command line.
func (in *lintInput) narrow(a *app, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	var only []string
	for _, name := range paths {
		full := name
		if !filepath.IsAbs(full) {
			full = filepath.Join(in.root, name)
		}
		rel, err := filepath.Rel(in.root, full)
		if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return fault.Newf(fault.Usage, "%s: not in the repository", name).Hintf("name paths relative to the repository, %s", a.dir)
		}
		rel = filepath.ToSlash(rel)
		if _, err := in.dir.Lstat(rel); err != nil {
			return fault.Newf(fault.Usage, "%s: there is no such file or folder in the repository", name)
		}
		if rel == "." {
			return nil
		}
		only = append(only, rel)
	}
	if in.options.Only == nil {
		in.options.Only = only
		return nil
	}
	in.options.Only = slices.DeleteFunc(in.options.Only, func(name string) bool {
		return !slices.ContainsFunc(only, func(o string) bool { return name == o || strings.HasPrefix(name, o+"/") })
	})
	return nil
}

// readBaseline reads the findings that are known, unless they are written anew.
func (in *lintInput) readBaseline(o lintOptions) error {
	if o.baseline {
		return nil
	}
	info, err := in.dir.Lstat(lint.BaselineFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !info.Mode().IsRegular() || info.Size() > lint.MaxBaseline {
		return fault.Newf(fault.Repository, "read %s: wanted a file of at most %d MB", lint.BaselineFile, lint.MaxBaseline>>20).
			Hintf("remove what is there, and write it anew: towline lint --write-baseline")
	}
	data, err := in.dir.ReadFile(lint.BaselineFile)
	if err != nil {
		return fault.Newf(fault.Repository, "read %s: %w", lint.BaselineFile, cause(err)).Hintf("check who owns the file and its folder")
	}
	in.options.Baseline, err = lint.ParseBaseline(data)
	return err
}

// installedPackages are the versions in the project's own environment: the
// one that is activated, or .venv, as uv makes it. Nothing of it is run: pip
// and uv write names and versions into the names of folders.
func (a *app) installedPackages(root string) map[string]string {
	for _, env := range []string{a.getenv("VIRTUAL_ENV"), filepath.Join(root, ".venv")} {
		if env == "" {
			continue
		}
		found, err := filepath.Glob(filepath.Join(env, "lib", "python3*", "site-packages", "*.dist-info"))
		if err != nil || len(found) == 0 {
			continue
		}
		packages := map[string]string{}
		for _, dir := range found {
			name, version, ok := strings.Cut(strings.TrimSuffix(filepath.Base(dir), ".dist-info"), "-")
			if ok {
				packages[normalised(name)] = version
			}
		}
		return packages
	}
	return nil
}

// normalised is a package's name as PEP 503 compares it.
func normalised(name string) string {
	parts := strings.FieldsFunc(strings.ToLower(name), func(c rune) bool { return c == '-' || c == '_' || c == '.' })
	return strings.Join(parts, "-")
}

// runTools runs pylint and ruff, both at once, beside the rules.
func (a *app) runTools(ctx context.Context, in *lintInput, repo *lint.Repo) lint.Others {
	files, folders := pythonFiles(repo)
	uv := a.getenv("TOWLINE_UV")
	if uv == "" {
		uv, _ = exec.LookPath("uv")
	}
	all := tools.All()
	outcomes := make([]tools.Outcome, len(all))
	var wait sync.WaitGroup
	for i, tool := range all {
		if in.wish(tool.Name) == "off" {
			continue
		}
		wait.Go(func() {
			outcomes[i] = tool.Run(ctx, tools.Options{
				Root: in.root, Files: files, Folders: folders, Environ: a.environ, UV: uv, Timeout: time.Duration(in.manifest.Lint.Tools.Timeout),
			})
		})
	}
	wait.Wait()
	var others lint.Others
	for i, tool := range all {
		in.judge(tool.Name, outcomes[i], &others)
	}
	return others
}

// wish is what the manifest wants of a tool.
func (in *lintInput) wish(tool string) string {
	wish := in.manifest.Lint.Tools.Ruff
	if tool == "pylint" {
		wish = in.manifest.Lint.Tools.Pylint
	}
	if wish == "" {
		return "auto"
	}
	return wish
}

// judge notes what became of a tool.
func (in *lintInput) judge(name string, out tools.Outcome, others *lint.Others) {
	state := report.Tool{Name: name, State: "ran"}
	switch wish := in.wish(name); {
	case wish == "off":
		state.State = "off"
	case out.Absent != "":
		state.State, state.Why = "absent", out.Absent
		if wish == "required" {
			in.faults = append(in.faults, fault.Newf(fault.Missing, "lint: towline.yaml requires %s, and it is %s", name, out.Absent).
				Hintf("install it, such as with: uv tool install %s", name))
		}
	case out.Err != nil:
		state.State, state.Why = "failed", out.Err.Error()
		in.faults = append(in.faults, out.Err)
	default:
		others.Findings = append(others.Findings, out.Findings...)
		others.Ran = append(others.Ran, name)
	}
	in.tools = append(in.tools, state)
}

// toolFault is the error of the first tool that failed or is missing.
func (in *lintInput) toolFault() error { return firstError(in.faults...) }

// pythonFiles are the Python files that the tools look at: those of the
// models, or all where there is no manifest; and their topmost folders.
func pythonFiles(repo *lint.Repo) (files, folders []string) {
	add := func(list []*lint.File) {
		for _, f := range list {
			if f.Kind == lint.Python && repo.Wanted(f.Path) {
				files = append(files, f.Path)
				folders = append(folders, topFolder(f.Path))
			}
		}
	}
	if len(repo.Models()) == 0 {
		add(repo.Files())
	}
	for _, model := range repo.Models() {
		add(model.Files())
	}
	slices.Sort(files)
	slices.Sort(folders)
	return slices.Compact(files), slices.Compact(folders)
}

// topFolder is the first folder of a path, or the file itself at the top.
func topFolder(name string) string {
	first, _, _ := strings.Cut(path.Clean(name), "/")
	return first
}
