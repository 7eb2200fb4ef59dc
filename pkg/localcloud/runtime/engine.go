package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	goruntime "runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/proc"
)

// Engine runs the programs of images in containers by the command line of
// Docker or Podman, which is the same for what is used here. An image is
// loaded once, as an archive; a container is removed when it ends.
// https://docs.docker.com/reference/cli/docker/
// https://docs.podman.io/en/latest/Commands.html
type Engine struct {
	machine
	kind  string
	path  string
	owner *owner
	user  string // of the container; "" for root
}

const (
	ownerLabel = "org.towline.owner" // of a container: the process that started it
	cacheLabel = "org.towline.cache" // of a container: where that process keeps its locks
)

// NewEngine makes a runtime that uses the docker or podman on the PATH, and
// removes the containers that an earlier one left behind.
func NewEngine(ctx context.Context, kind string, o ProcessOptions) (*Engine, error) {
	m, err := newMachine(o)
	if err != nil {
		return nil, err
	}
	e := &Engine{machine: m, kind: kind, path: m.host.lookPath(kind)}
	if e.path == "" {
		return nil, fault.Newf(fault.Missing, "runtime %s: no %s on the PATH", kind, kind).Hintf("install %s, or choose another runtime", kind)
	}
	// The first question that needs the engine itself tells whether it is there.
	if _, err := e.output(ctx, "ps", "--all", "--quiet", "--filter", "label="+cacheLabel+"="+m.cache.dir); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fault.Newf(fault.Missing, "runtime %s: %w", kind, err).
			Hintf("start %s, and check that this user may use it; or choose another runtime", kind)
	}
	if err := e.sweep(ctx); err != nil {
		m.log.Warn("containers of an earlier process could not be removed", "error", err)
	}
	if e.user, err = e.containerUser(ctx); err != nil {
		return nil, err
	}
	if e.owner, err = newOwner(m.cache, kind); err != nil {
		return nil, fault.Newf(fault.Remote, "runtime %s: %w", kind, err)
	}
	return e, nil
}

// sweep removes what processes that have ended left behind.
func (e *Engine) sweep(ctx context.Context) error {
	return sweep(ctx, e.cache, e.kind, func(name, _ string) error { return e.removeAll(ctx, name) })
}

// containerUser is the user that the container's program has to be so that
// what it writes to /opt/ml is this user's: root, as SageMaker has it, where
// the container's root is this user; this user itself where it is the machine's.
func (e *Engine) containerUser(ctx context.Context) (string, error) {
	if os.Geteuid() == 0 || e.kind == KindPodman || goruntime.GOOS != "linux" {
		return "", nil
	}
	options, err := e.output(ctx, "info", "--format", "{{.SecurityOptions}}")
	if err != nil {
		return "", fault.Newf(fault.Missing, "runtime %s: %w", e.kind, err)
	}
	if strings.Contains(options, "rootless") {
		return "", nil
	}
	return fmt.Sprintf("%d:%d", os.Geteuid(), os.Getegid()), nil
}

// Run loads the image if that was not done before and starts the program in a
// new container. The context counts until the program is started; Stop ends it.
func (e *Engine) Run(ctx context.Context, spec Spec) (Task, error) {
	ref, err := e.load(ctx, spec.Image)
	if err != nil {
		return nil, failure(ctx, spec, err)
	}
	t, err := e.start(context.WithoutCancel(ctx), spec, ref)
	if err != nil {
		return nil, failure(ctx, spec, err)
	}
	go t.watch(func() {})
	e.log.Debug("started", "name", spec.Name, "program", spec.Args, "pid", t.PID())
	return t, nil
}

// load gives the engine the image as an archive, which it reads while it is
// written, and names it by its configuration's digest.
func (e *Engine) load(ctx context.Context, image v1.Image) (string, error) {
	id, err := image.ConfigName()
	if err != nil {
		return "", fmt.Errorf("read the image's id: %w", err)
	}
	tag, err := name.NewTag("localhost/towline/image:"+id.Hex, name.StrictValidation)
	if err != nil {
		return "", err
	}
	if _, err := e.output(ctx, "image", "inspect", "--format", "{{.Id}}", tag.Name()); err == nil {
		return tag.Name(), nil
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer func() { _ = reader.Close() }()
	written := make(chan error, 1)
	go func() {
		err := tarball.Write(tag, image, writer)
		written <- errors.Join(err, writer.Close())
	}()
	loader := proc.Command{Name: e.path, Args: []string{"load", "--quiet"}, Dir: "/", Env: e.host.list(), Stdin: reader}
	err = loader.Run(ctx)
	_ = reader.Close() // whoever still writes ends by it
	if wrote := <-written; err == nil && wrote != nil {
		err = fmt.Errorf("write the image's archive: %w", wrote)
	}
	return tag.Name(), err
}

func (e *Engine) start(after context.Context, spec Spec, ref string) (*container, error) {
	optML, err := spec.optML()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(e.owner.dir, "c")
	if err != nil {
		return nil, err
	}
	id := "towline-" + e.owner.name + dir[len(e.owner.dir):]
	id = strings.ReplaceAll(id, string(os.PathSeparator), "-")
	args, env := e.line(spec, ref, id, optML)
	out := logOf(spec)
	client, err := proc.Command{Name: e.path, Args: args, Dir: "/", Env: env, Stdout: out, Stderr: out}.Start()
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return &container{
		client: client, done: make(chan struct{}),
		kill: func() { e.call(after, "kill", "--signal", "KILL", id) },
		clean: func() {
			e.call(after, "rm", "--force", id) // in case the client could not
			_ = os.Remove(dir)
		},
		judge: func(code int) error { return e.failed(code, client.Tail()) },
	}, nil
}

// line is the client's command line and environment. Values of variables go
// through the environment, where other users do not see them, unless the
// client itself has a variable of that name.
func (e *Engine) line(spec Spec, ref, id, optML string) (args, env []string) {
	args = []string{
		"run", "--rm", "--name", id, "--pull", "never",
		"--label", ownerLabel + "=" + e.owner.name, "--label", cacheLabel + "=" + e.cache.dir,
		"--security-opt", "label=disable", "--volume", optML + ":/opt/ml",
	}
	args = append(args, network(spec.Env)...)
	if e.user != "" {
		args = append(args, "--user", e.user, "--env", "HOME=/tmp")
	}
	program := spec.Args
	if len(spec.Entry) > 0 {
		args = append(args, "--entrypoint", spec.Entry[0])
		program = append(append([]string{}, spec.Entry[1:]...), program...)
	}
	client := maps.Clone(e.host)
	for _, name := range slices.Sorted(maps.Keys(spec.Env)) {
		value := spec.Env[name]
		if _, taken := e.host[name]; taken {
			args = append(args, "--env", name+"="+value)
			continue
		}
		client[name] = value
		args = append(args, "--env", name)
	}
	return append(append(args, ref), program...), client.list()
}

// network makes a server's port reachable on loopback: by the host's own
// network, or where containers run in a virtual machine, by the port alone.
func network(env map[string]string) []string {
	if goruntime.GOOS == "linux" {
		return []string{"--network", "host"}
	}
	if port := env["SAGEMAKER_BIND_TO_PORT"]; port != "" {
		return []string{"--publish", "127.0.0.1:" + port + ":" + port}
	}
	return nil
}

// What `docker run` and `podman run` end with when it is not the program's end.
const (
	engineFailed = 125
	notExecuted  = 126
	notFound     = 127
)

// failed tells the engine's own failure from the program's end, which may have
// the same code: then the client has said nothing.
func (e *Engine) failed(code int, said string) error {
	said = strings.TrimSpace(said)
	switch {
	case code == engineFailed:
		return fault.Newf(fault.Remote, "%s failed: %s", e.kind, strings.TrimPrefix(lastLine(said), e.kind+": "))
	case (code == notExecuted || code == notFound) && (strings.Contains(said, "docker: ") || strings.Contains(said, "Error: ")):
		return fault.Newf(fault.Missing, "%s could not run the program: %s", e.kind, lastLine(said)).
			Hintf("in a container there is only what the image holds: set TOWLINE_LOCAL_BASE to a base image with Python and package again, or choose the runtime process")
	}
	return nil
}

func lastLine(text string) string { return text[strings.LastIndex(text, "\n")+1:] }

// output runs the engine's client and gives what it says.
func (e *Engine) output(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	out, err := proc.Command{Name: e.path, Args: args, Dir: "/", Env: e.host.list()}.Output(ctx)
	return string(bytes.TrimSpace(out)), err
}

// call is output for what is tried and, if it does not succeed, swept later.
func (e *Engine) call(ctx context.Context, args ...string) {
	if _, err := e.output(ctx, args...); err != nil {
		e.log.Debug(e.kind, "command", args, "error", err)
	}
}

// removeAll removes the containers of an owner that has ended.
func (e *Engine) removeAll(ctx context.Context, owner string) error {
	ids, err := e.output(ctx, "ps", "--all", "--quiet", "--filter", "label="+ownerLabel+"="+owner)
	if err != nil || ids == "" {
		return err
	}
	_, err = e.output(ctx, append([]string{"rm", "--force"}, strings.Fields(ids)...)...)
	return err
}
