package runtime

import (
	"context"
	"errors"
	"io"
	"path"
	"path/filepath"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/proc"
)

// launch is a program that is ready to be started: what to run, and where.
type launch struct {
	spec   Spec
	tree   string
	optML  string
	config v1.Config
	prog   program
	with   interpreter
	host   variables
}

func (p *Process) start(ctx context.Context, spec Spec, from *root, config *v1.ConfigFile) (*task, error) {
	l, err := p.prepare(ctx, spec, from.tree, config.Config)
	if err != nil {
		return nil, failure(ctx, spec, err)
	}
	sandbox, err := p.checked(ctx)
	if err != nil {
		return nil, failure(ctx, spec, err)
	}
	log := logOf(spec)
	var t *task
	if sandbox == nil {
		t, err = l.direct(log)
	} else {
		t, err = sandbox.start(l, log)
	}
	if err != nil {
		return nil, failure(ctx, spec, err)
	}
	go t.watch(from.release)
	return t, nil
}

func (p *Process) prepare(ctx context.Context, spec Spec, tree string, config v1.Config) (launch, error) {
	prog, err := findProgram(tree, config, spec.Args)
	if err != nil {
		return launch{}, err
	}
	with, err := p.interpreter(ctx, prog, config)
	if err != nil {
		return launch{}, err
	}
	optML, err := spec.optML()
	if err != nil {
		return launch{}, err
	}
	return launch{spec: spec, tree: tree, optML: optML, config: config, prog: prog, with: with, host: p.host}, nil
}

// direct starts the program where no sandbox can give it the paths of a
// container: it is told where they are on the host.
func (l launch) direct(log io.Writer) (*task, error) {
	env := l.environ(l.onHost)
	env["TOWLINE_ROOT"], env["TOWLINE_OPT_ML"] = l.tree, l.optML
	dir := l.onHost(path.Join("/", l.config.WorkingDir))
	if !isDir(dir) {
		dir = l.tree
	}
	line := append([]string{}, l.with.words...)
	if l.prog.path != "" {
		line = append(line, l.onHost(l.prog.path))
	}
	line = append(line, l.prog.args...)
	started, err := proc.Command{Name: line[0], Args: line[1:], Dir: dir, Env: env.list(), Stdout: log, Stderr: log}.Start()
	if err != nil {
		return nil, err
	}
	return &task{proc: started, done: make(chan struct{}), terminate: started.Signal}, nil
}

// onHost is where a path of the image lies on the host.
func (l launch) onHost(path string) string {
	if path == "/opt/ml" || strings.HasPrefix(path, "/opt/ml/") {
		return l.optML + path[len("/opt/ml"):]
	}
	return filepath.Join(l.tree, path)
}

// environ is the whole environment of the program: what a process needs of
// the host's, over it the image's, over it the service's. Lists of folders
// are translated; folders of the image come first, then Python, then the host's.
func (l launch) environ(translate func(string) string) variables {
	env := l.host.forPrograms()
	image := parseVariables(l.config.Env)
	if image["PATH"] == "" {
		image["PATH"] = defaultPath
	}
	for name, value := range image {
		env[name] = value
	}
	for name, value := range l.spec.Env {
		env[name] = value
	}
	if libraries := env["PYTHONPATH"]; libraries != "" {
		env["PYTHONPATH"] = join(each(filepath.SplitList(libraries), translate))
	}
	var own, common []string
	for _, dir := range filepath.SplitList(env["PATH"]) {
		if path.IsAbs(dir) && isDir(filepath.Join(l.tree, dir)) {
			own = append(own, translate(dir))
		} else {
			common = append(common, dir)
		}
	}
	env["PATH"] = join(own, []string{l.with.bin}, common, filepath.SplitList(l.host["PATH"]))
	env["PYTHONDONTWRITEBYTECODE"] = "1"
	return env
}

func each(list []string, translate func(string) string) []string {
	out := make([]string, len(list))
	for i, item := range list {
		out[i] = item
		if path.IsAbs(item) {
			out[i] = translate(item)
		}
	}
	return out
}

// quiet lets stdout and stderr write to one log in turn. A log that cannot be
// written does not end the program.
type quiet struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

// logOf is where stdout and stderr of a program go.
func logOf(spec Spec) *quiet {
	if spec.Log == nil {
		spec.Log = io.Discard
	}
	return &quiet{w: spec.Log}
}

func (q *quiet) Write(b []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		_, q.err = q.w.Write(b)
	}
	return len(b), nil
}

// exitCode reads how a program ended from what proc says of it.
func exitCode(err error) (int, error) {
	var exit *proc.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit):
		return exit.Code, nil
	}
	return 0, err
}
