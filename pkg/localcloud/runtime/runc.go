package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/proc"
)

// Runc runs the programs of images in containers of their own, by runc: as
// root, or in a user namespace as anybody else. A container sees its image
// and /opt/ml, has this host's network, and may write anywhere: what it writes
// outside of /opt/ml is gone when it ends.
type Runc struct {
	machine
	path  string
	owner *owner
}

// toolTimeout is how long a program that should answer at once may take.
const toolTimeout = 30 * time.Second

// NewRunc makes a runtime that uses the runc on the PATH, and removes what an
// earlier one left behind.
func NewRunc(ctx context.Context, o ProcessOptions) (*Runc, error) {
	m, err := newMachine(o)
	if err != nil {
		return nil, err
	}
	r := &Runc{machine: m, path: m.host.lookPath(KindRunc)}
	if r.path == "" {
		return nil, fault.Newf(fault.Missing, "runtime runc: no runc on the PATH").Hintf("install runc, or choose another runtime")
	}
	if err := r.sweep(ctx); err != nil {
		m.log.Warn("containers of an earlier process could not be removed", "error", err)
	}
	if r.owner, err = newOwner(m.cache, KindRunc); err != nil {
		return nil, fault.Newf(fault.Remote, "runtime runc: %w", err)
	}
	return r, nil
}

// sweep removes what processes that have ended left behind.
func (r *Runc) sweep(ctx context.Context) error {
	return sweep(ctx, r.cache, KindRunc, func(_, dir string) error { return r.deleteAll(ctx, dir) })
}

// Run unpacks the image if that was not done before and starts the program in
// a new container. The context counts until the program runs; Stop ends it.
func (r *Runc) Run(ctx context.Context, spec Spec) (Task, error) {
	root, config, err := r.unpacked(ctx, spec)
	if err != nil {
		return nil, err
	}
	t, err := r.start(ctx, spec, root, config.Config)
	if err != nil {
		root.release()
		return nil, failure(ctx, spec, err)
	}
	go t.watch(root.release)
	r.log.Debug("started", "name", spec.Name, "program", spec.Args, "pid", t.PID())
	return t, nil
}

func (r *Runc) start(ctx context.Context, spec Spec, from *root, config v1.Config) (*container, error) {
	if err := runnable(from.tree, config, spec.Args); err != nil {
		return nil, err
	}
	optML, err := spec.optML()
	if err != nil {
		return nil, err
	}
	bundle, err := os.MkdirTemp(r.owner.dir, "c")
	if err != nil {
		return nil, err
	}
	b := ociBundle{dir: bundle, tree: from.tree, optML: optML, config: config, spec: spec, uid: os.Geteuid(), gid: os.Getegid()}
	if err := b.write(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(bundle))
	}
	return r.launch(context.WithoutCancel(ctx), b)
}

// launch starts the container. The context, which outlives it, is for what is
// done when it is over.
func (r *Runc) launch(after context.Context, b ociBundle) (*container, error) {
	out := logOf(b.spec)
	id := "towline-" + r.owner.name + "-" + filepath.Base(b.dir)
	report, pid := filepath.Join(b.dir, "runc.log"), filepath.Join(b.dir, "pid")
	client, err := proc.Command{
		Name: r.path, Args: r.args(r.owner.dir, "--log", report, "--log-format", "json", "run", "--bundle", b.dir, "--pid-file", pid, id),
		Dir: "/", Env: r.environ(), Stdout: out, Stderr: out,
	}.Start()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(b.dir))
	}
	return &container{
		client: client, done: make(chan struct{}),
		kill: func() { r.call(after, r.owner.dir, "kill", id, "KILL") },
		clean: func() {
			r.call(after, r.owner.dir, "delete", "--force", id)
			_ = os.RemoveAll(b.dir) // else the next sweep does
		},
		judge: func(int) error { return runcFailure(pid, report) },
	}, nil
}

// runnable says early what is wrong with an image whose program cannot run.
func runnable(tree string, config v1.Config, args []string) error {
	prog, err := findProgram(tree, config, args)
	if err != nil || prog.interpreter == nil {
		return err
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	wanted := prog.interpreter[0]
	for _, place := range places(config, wanted) {
		if present(root, place) {
			return nil
		}
	}
	return noInterpreter(wanted, prog.path)
}

// present says whether a path of the image may lead to something: only the
// container itself can follow links to absolute paths.
func present(root *os.Root, name string) bool {
	_, err := root.Lstat(strings.TrimPrefix(path.Clean(name), "/"))
	return !errors.Is(err, os.ErrNotExist)
}

// noInterpreter is the error for an image that was made to borrow the host's.
func noInterpreter(name, program string) error {
	if program == "" {
		program = "program"
	}
	return fault.Newf(fault.Missing, "the image holds no %s, which its %s needs", name, program).
		Hintf("in a container there is only what the image holds: set TOWLINE_LOCAL_BASE to a base image with Python and package again, or choose the runtime process")
}

// runcFailure is what kept the program from running, nil if it ran.
func runcFailure(pid, report string) error {
	if _, err := os.Stat(pid); err == nil {
		return nil
	}
	text, err := os.ReadFile(report)
	if err != nil || len(bytes.TrimSpace(text)) == 0 {
		return nil // it was stopped before it could say anything
	}
	last := string(bytes.TrimSpace(text))
	for line := range bytes.Lines(text) {
		var entry struct{ Level, Msg string }
		if json.Unmarshal(line, &entry) == nil && entry.Level == "error" {
			last = entry.Msg
		}
	}
	return fault.Newf(fault.Remote, "runc: %s", last).
		Hintf("runc needs root, or user namespaces for everybody; or choose the runtime process")
}

func (r *Runc) args(owner string, args ...string) []string {
	return append([]string{"--root", filepath.Join(owner, "state")}, args...)
}

func (r *Runc) environ() []string { return []string{"PATH=" + r.host["PATH"]} }

// call runs runc to its end. What does not succeed is tried again by a sweep.
func (r *Runc) call(ctx context.Context, owner string, args ...string) {
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	err := proc.Command{Name: r.path, Args: r.args(owner, args...), Dir: "/", Env: r.environ()}.Run(ctx)
	if err != nil {
		r.log.Debug("runc", "command", args, "error", err)
	}
}

// deleteAll removes the containers of an owner that has ended.
func (r *Runc) deleteAll(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	out, err := proc.Command{Name: r.path, Args: r.args(dir, "list", "--quiet"), Dir: "/", Env: r.environ()}.Output(ctx)
	if err != nil {
		return fmt.Errorf("list the containers below %s: %w", dir, err)
	}
	for _, id := range strings.Fields(string(out)) {
		err := proc.Command{Name: r.path, Args: r.args(dir, "delete", "--force", id), Dir: "/", Env: r.environ()}.Run(ctx)
		if err != nil {
			return fmt.Errorf("delete container %s: %w", id, err)
		}
	}
	return nil
}
