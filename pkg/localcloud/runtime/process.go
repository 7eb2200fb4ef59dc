package runtime

import (
	"context"
	"log/slog"
	"sync"

	"gitlab.com/towline/towline/pkg/fault"
)

// Process runs the programs of images as processes of this host. The image is
// unpacked once into a folder; its Python programs run with a Python of this
// host of the version they were made for. Where bubblewrap can be used a
// program sees its files at the paths that it has in a container; elsewhere it
// is told by variables where they are. Neither is a fence against code that
// means harm: the code of a model runs with the rights of its user.
type Process struct {
	machine
	pythons *pythons
	sandbox string

	probe sync.Mutex
	bwrap *bubblewrap // nil until probed
}

// ProcessOptions say where a runtime keeps its files and what it may use.
type ProcessOptions struct {
	Cache   string   // unpacked images go into its folder runtime; several may share it
	Environ []string // of the host, as NAME=value; programs get only what a process needs of it
	Sandbox string   // of processes: "bwrap", "none", or "auto" (bwrap where it can be used), which is also meant by ""
	Log     *slog.Logger
}

// NewProcess makes a runtime. It unpacks and starts nothing yet.
func NewProcess(o ProcessOptions) (*Process, error) {
	switch o.Sandbox {
	case "":
		o.Sandbox = "auto"
	case "auto", "bwrap", "none":
	default:
		return nil, fault.Newf(fault.Usage, "sandbox %q: wanted auto, bwrap or none", o.Sandbox)
	}
	m, err := newMachine(o)
	if err != nil {
		return nil, err
	}
	return &Process{
		machine: m,
		pythons: &pythons{host: m.host, cache: m.cache, found: map[string]*python{}},
		sandbox: o.Sandbox,
	}, nil
}

// Run unpacks the image if that was not done before and starts the program.
// The context counts until the program runs; Stop ends the task.
func (p *Process) Run(ctx context.Context, spec Spec) (Task, error) {
	root, config, err := p.unpacked(ctx, spec)
	if err != nil {
		return nil, err
	}
	t, err := p.start(ctx, spec, root, config)
	if err != nil {
		root.release()
		return nil, err
	}
	p.log.Debug("started", "name", spec.Name, "program", spec.Args, "pid", t.PID())
	return t, nil
}

// checked is the sandbox to be used, probed once. Nil means none.
func (p *Process) checked(ctx context.Context) (*bubblewrap, error) {
	if p.sandbox == "none" {
		return nil, nil
	}
	p.probe.Lock()
	defer p.probe.Unlock()
	if p.bwrap == nil {
		found, err := probeBubblewrap(ctx, p.host)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil && p.sandbox == "bwrap" {
			return nil, fault.Newf(fault.Missing, "use a sandbox: %w", err).
				Hintf("install bubblewrap, or set TOWLINE_SANDBOX=none to run without it")
		}
		if err != nil {
			p.log.Debug("programs run without a sandbox", "reason", err)
		}
		p.bwrap = found
	}
	if p.bwrap.path == "" {
		return nil, nil
	}
	return p.bwrap, nil
}
