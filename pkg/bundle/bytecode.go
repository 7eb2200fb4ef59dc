package bundle

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/proc"
)

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
	command := proc.Command{
		Name: job.interpreter,
		Args: []string{
			"-S", "-m", "compileall", "-q", "-j", s.compilers(), "--invalidation-mode", "unchecked-hash",
			"-x", `(^|/)tests?/`, "-s", filepath.Base(folder), "-p", "/" + libFolder, filepath.Base(folder),
		},
		Dir: filepath.Dir(folder),
		Env: pythonEnv(b.o.Environ),
	}
	said, err := command.Output(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := compileFault(job, string(said), err); err != nil {
		return err
	}
	compiled, err := s.addBytecode(folder, job.python)
	if err == nil && compiled == 0 {
		b.o.Log("python" + job.python + " of this host compiles nothing: the dependencies are packed without bytecode")
	}
	return err
}

// compileFault tells a compiler that broke down from modules that are not meant
// for this version, which stay as they are.
func compileFault(job *installation, said string, err error) error {
	stderr, ran := exited(err)
	switch {
	case err == nil:
		return nil
	case !ran:
		return fault.Newf(fault.Missing, "compile the dependencies: %w", err).Hintf("mend python%s on this host", job.python)
	case fullDisk().MatchString(said + stderr):
		return fault.Newf(fault.Remote, "compile the dependencies: no space left on device").
			Hintf("free some space, or set TOWLINE_CACHE to a folder on a larger disk")
	case strings.Contains(said, "[Errno "), strings.Contains(stderr, "Traceback"):
		return fault.Newf(fault.Remote, "compile the dependencies: python%s broke down", job.python).With(lastWords(said + stderr)...)
	}
	return nil
}

// compilers is how many processes compile: one for each processor ("0"), unless
// starting them would take longer than the work.
func (s *stage) compilers() string {
	modules := 0
	for _, file := range s.files {
		if path.Ext(file.path) == ".py" {
			modules++
		}
	}
	if modules < 100 {
		return "1"
	}
	return "0"
}

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
