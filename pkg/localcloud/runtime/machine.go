package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/fault"
)

// machine is what every runtime stands on: a cache of unpacked images, the
// host's variables, and a log.
type machine struct {
	cache *cache
	host  variables
	log   *slog.Logger
}

// keepRoots is how many images stay unpacked.
const keepRoots = 20

func newMachine(o ProcessOptions) (machine, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(o.Cache)
	if err != nil {
		return machine{}, fault.Newf(fault.Missing, "cache folder %s: %w", o.Cache, err)
	}
	// A folder of its own: others keep things in the cache too, and pruning
	// removes what it does not know.
	c, err := newCache(filepath.Join(dir, "runtime"))
	if err != nil {
		return machine{}, fault.Newf(fault.Missing, "cache folder %s: %w", dir, err).
			Hintf("set TOWLINE_CACHE to a folder that can be written")
	}
	return machine{cache: c, host: parseVariables(o.Environ), log: o.Log}, nil
}

// unpacked gives the files of the image, and its configuration.
func (m machine) unpacked(ctx context.Context, spec Spec) (*root, *v1.ConfigFile, error) {
	config, err := spec.Image.ConfigFile()
	if err != nil {
		return nil, nil, failure(ctx, spec, fmt.Errorf("read the image's config: %w", err))
	}
	if len(spec.Entry) > 0 {
		config = config.DeepCopy()
		config.Config.Entrypoint, config.Config.Cmd = spec.Entry, nil
	}
	root, err := m.cache.root(ctx, spec.Image)
	if err != nil {
		return nil, nil, failure(ctx, spec, err)
	}
	if root.fresh {
		if err := m.Prune(keepRoots); err != nil {
			m.log.Warn("prune unpacked images", "error", err)
		}
	}
	return root, config, nil
}

// Prune removes unpacked images that no task uses, but for the keep images
// that were used last, and what was left by unpackings that were cut off. It
// does nothing while an image is being unpacked.
func (m machine) Prune(keep int) error { return m.cache.prune(keep) }

// optML is the absolute folder that stands for /opt/ml.
func (s Spec) optML() (string, error) {
	dir, err := filepath.Abs(s.OptML)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", fault.Newf(fault.Missing, "no folder %s to stand for /opt/ml", dir)
	}
	return dir, nil
}

// failure is a start that did not come about: an interruption as it is, and
// anything that has no kind yet as a breakdown of the machine.
func failure(ctx context.Context, spec Spec, err error) error {
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

// label is what messages call the program.
func label(spec Spec) string {
	if len(spec.Entry) > 0 {
		return spec.Entry[0]
	}
	if len(spec.Args) > 0 {
		return spec.Args[0]
	}
	return spec.Name
}

// isDir says whether there is a real folder at the path.
func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}
