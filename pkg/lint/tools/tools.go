// Package tools runs linters that others wrote, and reads what they found.
//
// In come the repository's folder, the Python files to look at and an explicit
// environment; out come findings under the tools' own rule names, or the
// reason why there are none. A tool that breaks down is an error, never a
// clean bill. It installs nothing, uses no network, writes nothing into the
// repository and reads no mixture of output and complaints.
package tools

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/lint"
	"gitlab.com/towline/towline/pkg/proc"
)

// Options is where and on what a tool is run.
type Options struct {
	Root    string   // folder of the repository, absolute
	Files   []string // Python files, relative to it
	Folders []string // folders that hold them, for when there are too many files to be named
	Environ []string // of this process; the tool is handed only what it needs of it
	UV      string   // the uv program, to run tools that it has in its cache; "" for none

	Timeout time.Duration // a tool that has not ended after this long is stopped; 15 minutes if zero
}

// Outcome is what came of running a tool.
type Outcome struct {
	Tool     string
	Absent   string // why it could not be run; "" if it was
	Findings []lint.Finding
	Err      error // it broke down, or did not understand its settings
}

// A Tool is a linter that can be run.
type Tool struct {
	Name string

	args  func(output string) []string
	parse func(data []byte, root string) ([]lint.Finding, error)
	sound func(code int, findings int) bool // whether an exit code goes with a report
	hint  func(code int) string
}

// All are the tools that there are, by name.
func All() []Tool { return []Tool{pylint(), ruff()} }

const (
	// longestNames is how many bytes of file names a command line takes.
	longestNames = 100_000

	largestReport = 128 << 20

	defaultTimeout = 15 * time.Minute

	// grace is how long a tool may take to end when it is asked to: it has nothing to save.
	grace = 2 * time.Second

	// versionTimeout is how long a tool may take to tell its version.
	versionTimeout = time.Minute
)

// errSlow is that of a tool that does not end.
var errSlow = errors.New("it has not ended in time")

// Run runs the tool once, over all files. Its findings are in no order.
func (t Tool) Run(ctx context.Context, o Options) Outcome {
	out := Outcome{Tool: t.Name}
	if len(o.Files) == 0 {
		return out
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	within, cancel := context.WithTimeoutCause(ctx, o.Timeout, errSlow)
	defer cancel()
	out.Findings, out.Absent, out.Err = t.look(within, o)
	switch {
	case ctx.Err() != nil:
		out.Absent, out.Err = "", context.Cause(ctx)
	case within.Err() != nil && (out.Err != nil || out.Absent != ""):
		out.Absent = ""
		out.Err = fault.Newf(fault.Remote, "run %s: it had not ended after %s, and was stopped", t.Name, o.Timeout).
			Hintf("raise lint.tools.timeout in towline.yaml, look at fewer files with --changed or lint.exclude, or set lint.tools.%s to off", t.Name)
	}
	return out
}

// look finds the tool, runs it and reads its report.
func (t Tool) look(ctx context.Context, o Options) (findings []lint.Finding, absent string, err error) {
	command, why := t.find(ctx, o)
	if why != "" {
		return nil, why, nil
	}
	dir, err := os.MkdirTemp("", "towline-lint-")
	if err != nil {
		return nil, "", fault.Newf(fault.Remote, "run %s: %w", t.Name, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	report := filepath.Join(dir, t.Name+".json")
	command.Args = append(append(command.Args, t.args(report)...), names(o)...)
	command.Dir, command.Env, command.Stdout, command.Grace = o.Root, environment(o.Environ), io.Discard, grace
	findings, err = t.read(command.Run(ctx), report, o.Root)
	return findings, "", err
}

// Version asks the tool for its version, or says why it cannot be run.
func (t Tool) Version(ctx context.Context, o Options) (version, absent string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, versionTimeout, errSlow)
	defer cancel()
	command, absent := t.find(ctx, o)
	if absent != "" {
		return "", absent, nil
	}
	command.Args = append(command.Args, "--version")
	command.Dir, command.Env, command.Grace = o.Root, environment(o.Environ), grace
	out, err := command.Output(ctx)
	if err != nil {
		return "", "", fault.Newf(fault.Remote, "ask %s for its version: %w", t.Name, err).Hintf("%s", t.hint(0))
	}
	first, _, _ := strings.Cut(string(out), "\n")
	words := strings.Fields(first)
	if len(words) < 2 {
		return "", "", fault.Newf(fault.Remote, "ask %s for its version: it answered %q", t.Name, first).Hintf("%s", t.hint(0))
	}
	return words[1], "", nil
}

// read understands how the tool ended, and then what it reported.
func (t Tool) read(ended error, report, root string) ([]lint.Finding, error) {
	code, complaint := 0, ""
	if exit := (*proc.ExitError)(nil); errors.As(ended, &exit) {
		code, complaint = exit.Code, exit.Stderr
	} else if ended != nil {
		return nil, fault.Newf(fault.Remote, "run %s: %w", t.Name, ended).Hintf("%s", t.hint(0))
	}
	data, err := readFile(report)
	var findings []lint.Finding
	if err == nil {
		findings, err = t.parse(data, root)
	}
	if err == nil {
		err = putRight(findings)
	}
	if err == nil && t.sound(code, len(findings)) {
		return findings, nil
	}
	f := fault.Newf(fault.Remote, "run %s: it broke down with exit code %d", t.Name, code)
	if err != nil && code == 0 {
		f = fault.Newf(fault.Remote, "run %s: its report cannot be read: %w", t.Name, err)
	}
	details := lastLines(complaint)
	if len(details) == 0 && err != nil && code != 0 {
		details = []string{"its report cannot be read: " + err.Error()}
	}
	return nil, f.With(details...).Hintf("%s", t.hint(code))
}

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("it wrote none")
		}
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err == nil && info.Size() > largestReport {
		err = errors.New("it is larger than 128 MB")
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(file, largestReport))
}

// lastLines are the lines that tell most of a complaint.
func lastLines(text string) []string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	lines = lines[max(0, len(lines)-5):]
	return slices.DeleteFunc(lines, func(line string) bool { return strings.TrimSpace(line) == "" })
}

// find looks for the program on the PATH, and then in uv's cache: nothing is
// downloaded for a check.
func (t Tool) find(ctx context.Context, o Options) (command proc.Command, why string) {
	if program := onPath(t.Name, o.Environ); program != "" {
		return proc.Command{Name: program}, ""
	}
	if o.UV == "" {
		return command, "not on the PATH, and there is no uv"
	}
	command = proc.Command{Name: o.UV, Args: []string{"tool", "run", "--offline", "--quiet", t.Name}}
	probe := command
	probe.Args = append(slices.Clone(probe.Args), "--version")
	probe.Dir, probe.Env = o.Root, environment(o.Environ)
	if _, err := probe.Output(ctx); err != nil {
		return command, "neither on the PATH nor in uv's cache"
	}
	return command, ""
}

// onPath finds a program in the absolute folders of the PATH: one in the
// repository itself is not run.
func onPath(name string, environ []string) string {
	for _, dir := range filepath.SplitList(variable(environ, "PATH")) {
		if !filepath.IsAbs(dir) {
			continue
		}
		program := filepath.Join(dir, name)
		if info, err := os.Stat(program); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return program
		}
	}
	return ""
}

func variable(environ []string, name string) string {
	for _, entry := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// handedOn are the variables that a tool may see: tokens are not among them,
// as settings of the repository can make pylint run code.
var handedOn = []string{
	"PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TEMP", "TMP", "SystemRoot",
	"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYLINTRC", "PYLINTHOME",
	"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "UV_CACHE_DIR", "UV_TOOL_DIR", "UV_PYTHON", "UV_PYTHON_INSTALL_DIR",
}

func environment(environ []string) []string {
	env := []string{"NO_COLOR=1", "PYTHONIOENCODING=utf-8", "RUFF_NO_CACHE=true"}
	for _, name := range handedOn {
		if value := variable(environ, name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// names are the files on the command line, or their folders if they are too many.
func names(o Options) []string {
	size := 0
	for _, name := range o.Files {
		size += len(name) + 3
	}
	list := o.Files
	if size > longestNames {
		list = o.Folders
	}
	named := make([]string, len(list))
	for i, name := range list {
		named[i] = "./" + name // so that none is taken for an option
	}
	return named
}

// putRight puts findings right that are about nothing in the repository, such as
// settings in a home, and refuses those that say nothing.
func putRight(findings []lint.Finding) error {
	for i := range findings {
		f := &findings[i]
		if f.Name == "" || f.Message == "" {
			return errors.New("a finding in it has no name or no message")
		}
		if !fs.ValidPath(f.Path) {
			f.Message, f.Path, f.Line, f.EndLine = path.Base(f.Path)+": "+f.Message, ".", 0, 0
		}
		if f.Line < 1 {
			f.Line, f.EndLine = 0, 0
		}
		if f.Column < 1 || f.Line == 0 {
			f.Column = 0
		}
	}
	return nil
}

// relative is a file's path from the top of the repository, which a tool may
// know by the name that links lead to.
func relative(root, name string) string {
	if !filepath.IsAbs(name) {
		return path.Clean(filepath.ToSlash(name))
	}
	for _, top := range []string{root, realPath(root)} {
		if rel, err := filepath.Rel(top, name); err == nil && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel)
		}
	}
	return filepath.ToSlash(name)
}

func realPath(name string) string {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		return real
	}
	return name
}
