package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"
)

// libFolder is where the dependencies lie in the image.
const libFolder = "opt/towline/lib"

// cached is one set of dependency layers in the cache.
type cached struct {
	Key    string `json:"key"`
	Layers []blob `json:"layers"`
}

// dependencies gives the dependency layers, from the cache or the registry if
// one of them has them; then nothing is installed.
func (b *Bundler) dependencies(ctx context.Context, job *installation, before *past, run *ahead) ([]blob, error) {
	if job == nil {
		return nil, nil
	}
	if layers, ok := b.known(ctx, job, before, run); ok {
		return layers, nil
	}
	if layers, ok := b.uncompiled(ctx, job, before, run); ok {
		return layers, nil
	}
	layers, err := b.buildDependencies(ctx, job, run)
	for i := range layers {
		layers[i].note(howBuilt, "no layer for these requirements, platform and Python was known")
	}
	return layers, err
}

// known are the layers of the installation in the cache or the registry.
func (b *Bundler) known(ctx context.Context, job *installation, before *past, run *ahead) ([]blob, bool) {
	key := job.key()
	b.use(key)
	if layers, ok := b.fromCache(key); ok {
		for i := range layers {
			layers[i].note(howCached, "the same requirements, platform and Python as before")
			run.file(layers[i])
		}
		return layers, true
	}
	layers, ok := before.find(ctx, key, 0)
	for _, layer := range layers {
		run.known(layer)
	}
	return layers, ok
}

// uncompiled are the layers that a host with an interpreter that does not run
// has made before.
func (b *Bundler) uncompiled(ctx context.Context, job *installation, before *past, run *ahead) ([]blob, bool) {
	if job.interpreter == "" {
		return nil, false
	}
	bare := *job
	bare.interpreter = ""
	if _, ok := b.fromCache(bare.key()); !ok || b.runs(ctx, job.interpreter) {
		return nil, false
	}
	return b.known(ctx, &bare, before, run)
}

// key is a hash of everything that decides the layers' bytes.
func (j *installation) key() string {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "layout %s\nplatform %s\nwheels %s\npython %s\nbytecode %s\ncompressor %s\nlayers %d, %s\nrequirements %s\n",
		LayoutVersion, j.platform, j.wheels, j.python, j.bytecode(), compressor, maxDependencyLayers, splitting, j.content)
	if j.alone {
		_, _ = fmt.Fprintln(sum, "scripts alone")
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// bytecode names what compiles the modules: its source, or "none".
func (j *installation) bytecode() string {
	if j.interpreter == "" {
		return "none"
	}
	sum := sha256.Sum256([]byte(compiler))
	return hex.EncodeToString(sum[:])
}

func (b *Bundler) blobFolder() string { return filepath.Join(b.o.Cache, "blobs") }
func (b *Bundler) cacheEntry(key string) string {
	return filepath.Join(b.o.Cache, "layers", key+".json")
}

// fromCache reads a set of layers. One that is damaged counts as absent.
func (b *Bundler) fromCache(key string) ([]blob, bool) {
	text, err := os.ReadFile(b.cacheEntry(key))
	if err != nil {
		return nil, false
	}
	var entry cached
	if json.Unmarshal(text, &entry) != nil || entry.Key != key {
		return nil, false
	}
	for i := range entry.Layers {
		layer := &entry.Layers[i]
		layer.file = filepath.Join(b.blobFolder(), layer.Digest.Hex)
		info, err := os.Stat(layer.file)
		if err != nil || info.Size() != layer.Size {
			return nil, false
		}
	}
	return entry.Layers, true
}

// buildDependencies installs the requirements into a folder of its own and packs it.
func (b *Bundler) buildDependencies(ctx context.Context, job *installation, run *ahead) ([]blob, error) {
	for _, folder := range []string{b.blobFolder(), filepath.Dir(b.cacheEntry(""))} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, diskFault("make the cache", err)
		}
	}
	sweep(filepath.Join(b.o.Cache, ".install-*"))
	sweep(filepath.Join(b.blobFolder(), ".layer-*"))
	work, err := os.MkdirTemp(b.o.Cache, ".install-*")
	if err != nil {
		return nil, diskFault("make the cache", err)
	}
	defer b.chores.add(func() error { return os.RemoveAll(work) })

	target := filepath.Join(work, "lib")
	if err := b.export(ctx, job, work); err != nil {
		return nil, err
	}
	if err := b.install(ctx, job, target); err != nil {
		return nil, err
	}
	stage, err := b.stage(ctx, job, target)
	if err != nil {
		return nil, err
	}
	key := job.key() // only now it is certain whether there is bytecode
	layers, err := b.packDependencies(ctx, stage.groups(), key, run)
	if err != nil {
		return nil, err
	}
	entry := cached{Key: key, Layers: slices.Clone(layers)} // the caller goes on with its own
	b.chores.add(func() error { return b.toCache(entry) })
	return layers, nil
}

// sweep removes what a run that was killed has left behind. A day is longer
// than any run that is still at work.
func sweep(pattern string) {
	left, _ := filepath.Glob(pattern)
	for _, name := range left {
		if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(name)
		}
	}
}

// packDependencies writes one layer for each group, several at a time.
func (b *Bundler) packDependencies(ctx context.Context, groups []group, key string, run *ahead) ([]blob, error) {
	layers := make([]blob, len(groups))
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for _, i := range largestFirst(groups) {
		g := groups[i]
		workers.Go(func() error {
			layer, err := writeLayer(ctx, b.blobFolder(), g.about, g.items)
			if err != nil {
				return err
			}
			layer.Key = layerKey(key, i, len(groups))
			layers[i] = layer
			run.file(layer)
			list, err := packedContents(layer.Digest, g.items)
			if err != nil {
				return err
			}
			b.chores.add(func() error { return b.keepContents(layer.Digest, list) })
			return nil
		})
	}
	return layers, workers.Wait()
}

// toCache makes the set of layers known, after the layers themselves are safe.
func (b *Bundler) toCache(entry cached) error {
	for _, layer := range entry.Layers {
		if err := syncFile(layer.file); err != nil {
			return diskFault("write layer", err)
		}
	}
	text, err := json.MarshalIndent(entry, "", "  ")
	if err != nil {
		return err
	}
	return diskFault("write the cache", renameio.WriteFile(b.cacheEntry(entry.Key), append(text, '\n'), 0o644))
}
