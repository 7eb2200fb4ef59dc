package bundle

import (
	"context"
	_ "embed" // the compiler
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/proc"
)

// compiler is the Python program that compiles. It does half the work of the
// standard library's compileall, and what it writes does not depend on which
// modules a process has compiled before.
//
//go:embed compile.py
var compiler string

// bytecode compiles the staged modules with a Python of the target's minor
// version, if this host has one: a server starts in half the time. The files
// name their source by its place in the image and are never checked against
// its time, so that two builds give the same bytes. The packages' own tests stay
// as they are.
func (b *Bundler) bytecode(ctx context.Context, job *installation, s *stage, folder string) error {
	if job.interpreter == "" {
		b.o.Log("no python" + job.python + " on this host: the dependencies are packed without bytecode")
		return nil
	}
	shares := s.shares(runtime.GOMAXPROCS(0))
	if len(shares) == 0 {
		return nil
	}
	workers, within := errgroup.WithContext(ctx)
	for _, share := range shares {
		workers.Go(func() error { return b.compile(within, job, folder, share) })
	}
	err := workers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	compiled, err := s.addBytecode(folder, job.python)
	if err == nil && compiled == 0 {
		job.interpreter = ""
		b.o.Log("python" + job.python + " of this host compiles nothing: the dependencies are packed without bytecode")
	}
	return err
}

// fewModules is how many modules one process compiles before a second one pays.
const fewModules = 100

// shares parts the modules that are compiled among so many processes at most.
func (s *stage) shares(processes int) [][]string {
	var modules []string
	for _, file := range s.files {
		if path.Ext(file.path) == ".py" && !isTest(file.path) {
			modules = append(modules, file.path)
		}
	}
	processes = min(processes, 1+len(modules)/fewModules)
	shares := make([][]string, min(processes, len(modules)))
	for i, module := range modules {
		shares[i%len(shares)] = append(shares[i%len(shares)], module)
	}
	return shares
}

// isTest says whether a module belongs to its package's own tests.
func isTest(name string) bool {
	for folder := range strings.SplitSeq(path.Dir(name), "/") {
		if folder == "test" || folder == "tests" {
			return true
		}
	}
	return false
}

// compile lets one process compile modules. Those that are not meant for this
// version stay as they are.
func (b *Bundler) compile(ctx context.Context, job *installation, folder string, modules []string) error {
	command := proc.Command{
		Name: job.interpreter, Args: []string{"-S", "-W", "ignore", "-c", compiler, filepath.Base(folder), "/" + libFolder},
		Dir: filepath.Dir(folder), Env: pythonEnv(b.o.Environ), Stdin: strings.NewReader(strings.Join(modules, "\x00")),
	}
	_, err := command.Output(ctx)
	stderr, ran := exited(err)
	var exit *proc.ExitError
	switch {
	case err == nil, errors.As(err, &exit) && exit.Code == notThere:
		return nil
	case !ran:
		return fault.Newf(fault.Missing, "compile the dependencies: %w", err).Hintf("mend python%s on this host", job.python)
	case fullDisk().MatchString(stderr):
		return fault.Newf(fault.Remote, "compile the dependencies: no space left on device").
			Hintf("free some space, or set TOWLINE_CACHE to a folder on a larger disk")
	}
	return fault.Newf(fault.Remote, "compile the dependencies: python%s broke down", job.python).With(lastWords(stderr)...)
}

// runs says whether an interpreter does anything at all.
func (b *Bundler) runs(ctx context.Context, interpreter string) bool {
	command := proc.Command{Name: interpreter, Args: []string{"-S", "-c", ""}, Env: pythonEnv(b.o.Environ)}
	return command.Run(ctx) == nil
}

// notThere is the exit code of a shell that finds no program, as a shim for a
// Python that is not installed has it.
const notThere = 127

// pythonEnv keeps the host's own Python settings from the compiler, and fixes
// the order of sets.
func pythonEnv(environ []string) []string {
	env := []string{"PYTHONHASHSEED=0"}
	for _, entry := range environ {
		if !strings.HasPrefix(entry, "PYTHON") {
			env = append(env, entry)
		}
	}
	return env
}

// addBytecode takes the compiled modules in, each for the distribution of its source.
func (s *stage) addBytecode(folder, python string) (int, error) {
	tag := ".cpython-" + strings.ReplaceAll(python, ".", "") + ".pyc"
	var compiled []staged
	for _, file := range s.files {
		stem, ok := strings.CutSuffix(path.Base(file.path), ".py")
		if !ok {
			continue
		}
		name := path.Join(path.Dir(file.path), "__pycache__", stem+tag)
		onDisk := filepath.Join(folder, filepath.FromSlash(name))
		info, err := os.Stat(onDisk)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, diskFault("read "+name, err)
		}
		compiled = append(compiled, staged{path: name, mode: 0o644, size: info.Size(), onDisk: onDisk, dist: file.dist})
	}
	s.files = append(s.files, compiled...)
	slices.SortFunc(s.files, func(a, b staged) int { return strings.Compare(a.path, b.path) })
	return len(compiled), nil
}
