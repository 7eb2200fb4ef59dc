package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/proc"
)

// install puts the wheels of the requirements into target, with uv or else
// with pip. Nothing is built from source, so nothing of this host gets in.
func (b *Bundler) install(ctx context.Context, job *installation, target string) error {
	uv, err := b.findUV()
	if err != nil {
		return err
	}
	if uv == "" {
		return b.installWithPip(ctx, job, target)
	}
	err = b.run(ctx, job, uv, uvArguments(job, target))
	if notStarted(err) && getenv(b.o.Environ, "TOWLINE_UV") == "" {
		b.o.Log("uv cannot be started, pip stands in: " + err.Error())
		return b.installWithPip(ctx, job, target)
	}
	if job.interpreter != "" && isUnfit(err) {
		job.interpreter = ""
		err = b.run(ctx, job, uv, uvArguments(job, target))
	}
	if isNetwork(err) {
		b.o.Log("the package index is out of reach: trying uv's own cache")
		if b.run(ctx, job, uv, append(uvArguments(job, target), "--offline")) == nil {
			return nil
		}
	}
	return installFault(job, err)
}

func uvArguments(job *installation, target string) []string {
	args := []string{
		"pip", "install", "--target", target, "--requirements", job.file, "--python-version", job.python,
		"--only-binary", ":all:", "--no-compile-bytecode", "--link-mode", "hardlink",
		"--no-python-downloads", "--no-progress", "--color", "never",
	}
	if job.wheels != "" {
		args = append(args, "--python-platform", job.wheels)
	}
	if job.interpreter != "" {
		args = append(args, "--python", job.interpreter) // it need not look for one
	}
	return args
}

// isUnfit says whether uv could not work with the Python that it was given.
func isUnfit(err error) bool {
	text, ok := exited(err)
	return ok && strings.Contains(text, "inspect Python interpreter")
}

// findUV gives the program that TOWLINE_UV names, or uv of the PATH, or "".
func (b *Bundler) findUV() (string, error) {
	named := getenv(b.o.Environ, "TOWLINE_UV")
	if named == "" {
		return lookPath(b.o.Environ, "uv"), nil
	}
	if !isProgram(named) {
		return "", fault.Newf(fault.Missing, "find uv: TOWLINE_UV names %s, which is no program", named).
			Hintf("correct TOWLINE_UV, or unset it")
	}
	return named, nil
}

func (b *Bundler) installWithPip(ctx context.Context, job *installation, target string) error {
	python := job.interpreter
	if python == "" {
		python = lookPath(b.o.Environ, "python3")
	}
	check := proc.Command{Name: python, Args: []string{"-m", "pip", "--version"}, Env: b.o.Environ}
	if python == "" || check.Run(ctx) != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fault.Newf(fault.Missing, "install %s: found neither uv nor python%s with pip", job.name, job.python).
			Hintf("install uv and put it on the PATH, or name it by TOWLINE_UV")
	}
	return installFault(job, b.run(ctx, job, python, pipArguments(job, target)))
}

func pipArguments(job *installation, target string) []string {
	args := []string{
		"-m", "pip", "install", "--target", target, "--requirement", job.file, "--only-binary", ":all:",
		"--no-compile", "--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--no-color",
	}
	if job.wheels == "" && job.interpreter != "" {
		return args
	}
	tag := "cp" + strings.ReplaceAll(job.python, ".", "")
	args = append(args, "--python-version", job.python, "--implementation", "cp",
		"--abi", tag, "--abi", "abi3", "--abi", "none")
	arch, _, _ := strings.Cut(job.wheels, "-")
	if arch == "" {
		return args
	}
	for minor := 28; minor >= 5; minor-- {
		args = append(args, "--platform", fmt.Sprintf("manylinux_2_%d_%s", minor, arch))
	}
	for _, old := range []string{"manylinux2014", "manylinux2010", "manylinux1", "linux"} {
		args = append(args, "--platform", old+"_"+arch)
	}
	return args
}

// run runs an installer beside the requirements file or in the project, so that relative paths in it hold.
func (b *Bundler) run(ctx context.Context, job *installation, program string, args []string) error {
	lines := &lineWriter{log: b.o.Log}
	folder := job.folder
	if folder == "" {
		folder = filepath.Dir(job.file)
	}
	command := proc.Command{Name: program, Args: args, Dir: folder, Stderr: lines, Env: b.installerEnv()}
	err := command.Run(ctx)
	lines.flush()
	return err
}

func (b *Bundler) installerEnv() []string {
	return append(b.o.Environ[:len(b.o.Environ):len(b.o.Environ)],
		"UV_NO_INSTALLER_METADATA=1", "PYTHONDONTWRITEBYTECODE=1", "PIP_USER=0")
}

// lineWriter hands on whole lines.
type lineWriter struct {
	log  func(string)
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		end := bytes.IndexAny(w.rest, "\r\n")
		if end < 0 {
			return len(p), nil
		}
		w.say(w.rest[:end])
		w.rest = w.rest[end+1:]
	}
}

func (w *lineWriter) flush() {
	w.say(w.rest)
	w.rest = nil
}

func (w *lineWriter) say(line []byte) {
	text := strings.TrimSpace(string(line))
	if text == "" || strings.Contains(text, "hardlink") || strings.Contains(text, "UV_LINK_MODE") {
		return // uv's cache lies on another disk: it copies, and says so in three lines
	}
	w.log(withoutLogin(text))
}

// lookPath finds a program on the PATH of an environment, or gives "".
func lookPath(environ []string, name string) string {
	for _, folder := range filepath.SplitList(getenv(environ, "PATH")) {
		if program := filepath.Join(folder, name); filepath.IsAbs(program) && isProgram(program) {
			return program
		}
	}
	return ""
}

// lookInterpreter finds an interpreter: the first that is no script, since those
// that choose among several cost a tenth of a second each time; or else the first.
func lookInterpreter(environ []string, name string) string {
	for _, folder := range filepath.SplitList(getenv(environ, "PATH")) {
		program := filepath.Join(folder, name)
		if filepath.IsAbs(program) && isProgram(program) && !isScript(program) {
			return program
		}
	}
	return lookPath(environ, name)
}

func isScript(name string) bool {
	file, err := os.Open(name)
	if err != nil {
		return true
	}
	defer func() { _ = file.Close() }()
	var head [2]byte
	_, err = io.ReadFull(file, head[:])
	return err != nil || string(head[:]) == "#!"
}

func isProgram(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// getenv reads an environment, of which the last entry of a name holds.
func getenv(environ []string, name string) string {
	for i := len(environ) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(environ[i], name+"="); ok {
			return value
		}
	}
	return ""
}

// exited gives what a program said before it ended badly.
func exited(err error) (stderr string, ok bool) {
	var exit *proc.ExitError
	if errors.As(err, &exit) {
		return exit.Stderr, true
	}
	return "", false
}

// started says whether err is about a program that could not even be started.
func notStarted(err error) bool {
	var start *exec.Error
	var file *os.PathError
	return errors.As(err, &start) || errors.As(err, &file)
}
