package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"gitlab.com/towline/towline/pkg/fault"
)

// Process runs the programs of images as processes of this host. The image is
// unpacked once into a folder; its Python programs run with a Python of this
// host of the version they were made for. Where bubblewrap can be used a
// program sees its files at the paths that it has in a container; elsewhere it
// is told by variables where they are. Neither is a fence against code that
// means harm: the code of a model runs with the rights of its user.
type Process struct {
	cache   *cache
	host    variables
	pythons *pythons
	sandbox string
	log     *slog.Logger

	probe sync.Mutex
	bwrap *bubblewrap // nil until probed
}

// ProcessOptions say where a Process keeps its files and what it may use.
type ProcessOptions struct {
	Cache   string   // unpacked images go into its folder runtime; several may share it
	Environ []string // of the host, as NAME=value; programs get only what a process needs of it
	Sandbox string   // "bwrap", "none", or "auto" (bwrap where it can be used), which is also meant by ""
	Log     *slog.Logger
}

// keepRoots is how many images stay unpacked.
const keepRoots = 20

// NewProcess makes a runtime. It unpacks and starts nothing yet.
func NewProcess(o ProcessOptions) (*Process, error) {
	switch o.Sandbox {
	case "":
		o.Sandbox = "auto"
	case "auto", "bwrap", "none":
	default:
		return nil, fault.Newf(fault.Usage, "sandbox %q: wanted auto, bwrap or none", o.Sandbox)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(o.Cache)
	if err != nil {
		return nil, fault.Newf(fault.Missing, "cache folder %s: %w", o.Cache, err)
	}
	// A folder of its own: others keep things in the cache too, and pruning
	// removes what it does not know.
	c, err := newCache(filepath.Join(dir, "runtime"))
	if err != nil {
		return nil, fault.Newf(fault.Missing, "cache folder %s: %w", dir, err).
			Hintf("set TOWLINE_CACHE to a folder that can be written")
	}
	host := parseVariables(o.Environ)
	return &Process{
		cache:   c,
		host:    host,
		pythons: &pythons{host: host, cache: c, found: map[string]*python{}},
		sandbox: o.Sandbox,
		log:     o.Log,
	}, nil
}

// Run unpacks the image if that was not done before and starts the program.
// The context counts until the program runs; Stop ends the task.
func (p *Process) Run(ctx context.Context, spec Spec) (Task, error) {
	config, err := spec.Image.ConfigFile()
	if err != nil {
		return nil, p.failure(ctx, spec, fmt.Errorf("read the image's config: %w", err))
	}
	root, err := p.cache.root(ctx, spec.Image)
	if err != nil {
		return nil, p.failure(ctx, spec, err)
	}
	if root.fresh {
		if err := p.Prune(keepRoots); err != nil {
			p.log.Warn("prune unpacked images", "error", err)
		}
	}
	t, err := p.start(ctx, spec, root, config)
	if err != nil {
		root.release()
		return nil, err
	}
	p.log.Debug("started", "name", spec.Name, "program", spec.Args, "pid", t.PID())
	return t, nil
}

// Prune removes unpacked images that no task uses, but for the keep images
// that were used last, and what was left by unpackings that were cut off. It
// does nothing while an image is being unpacked.
func (p *Process) Prune(keep int) error { return p.cache.prune(keep) }

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

// failure is a start that did not come about: an interruption as it is, and
// anything that has no kind yet as a breakdown of the machine.
func (p *Process) failure(ctx context.Context, spec Spec, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	kind := fault.Remote
	if known := (*fault.Error)(nil); errors.As(err, &known) {
		kind = known.Kind
	}
	failed := fault.Newf(kind, "run %s: %w", label(spec), err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return failed.Hintf("free some space, or set TOWLINE_CACHE to a folder on a larger disk")
	}
	return failed
}

// isDir says whether there is a real folder at the path.
func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}
