package bundle

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// staged is one installed file on its way into a layer.
type staged struct {
	path    string // slash-separated, relative to the folder of the dependencies
	mode    fs.FileMode
	size    int64
	onDisk  string
	content []byte // instead of what is on disk; may be nil
	dist    string // distribution that owns it; "" if none does
}

func (f staged) open() (io.ReadCloser, error) {
	if f.content != nil {
		return io.NopCloser(bytes.NewReader(f.content)), nil
	}
	return os.Open(f.onDisk)
}

// stage is an installed folder of dependencies.
type stage struct{ files []staged }

// leftOut are what installers write beside the packages, and what differs from host to host.
var leftOut = map[string]bool{"INSTALLER": true, "REQUESTED": true, "direct_url.json": true, "uv_cache.json": true, "uv_build.json": true}

// stage makes an installed folder ready for packing: bytecode compiled for its
// place in the image, scripts given the image's interpreter, each file owned by
// its distribution, native code checked against the platform.
func (b *Bundler) stage(ctx context.Context, job *installation, folder string) (*stage, error) {
	if err := dropBytecode(folder); err != nil {
		return nil, diskFault("prepare the dependencies", err)
	}
	s, err := readStage(folder)
	if err != nil {
		return nil, err
	}
	if err := s.own(); err != nil {
		return nil, err
	}
	if err := s.checkNative(job, b.o.Log); err != nil {
		return nil, err
	}
	if err := s.scripts(job.python); err != nil {
		return nil, err
	}
	if err := s.records(); err != nil {
		return nil, err
	}
	return s, b.bytecode(ctx, job, s, folder)
}

func dropBytecode(folder string) error {
	return filepath.WalkDir(folder, func(name string, item fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case item.IsDir() && item.Name() == "__pycache__":
			if err := os.RemoveAll(name); err != nil {
				return err
			}
			return fs.SkipDir
		case !item.IsDir() && path.Ext(item.Name()) == ".pyc":
			return os.Remove(name)
		}
		return nil
	})
}

// readStage lists the files, sorted by path.
func readStage(folder string) (*stage, error) {
	s := &stage{}
	err := filepath.WalkDir(folder, func(name string, item fs.DirEntry, err error) error {
		if err != nil || item.IsDir() {
			return err
		}
		below, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		file := staged{path: filepath.ToSlash(below), onDisk: name}
		if file.path == ".lock" || isInfo(file.path) && leftOut[path.Base(file.path)] {
			return nil
		}
		info, err := item.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fault.Newf(fault.Repository, "pack %s: found %s, wanted a regular file", file.path, info.Mode().Type())
		}
		file.mode, file.size = packedMode(info.Mode()), info.Size()
		s.files = append(s.files, file)
		return nil
	})
	slices.SortFunc(s.files, func(a, b staged) int { return strings.Compare(a.path, b.path) })
	return s, diskFault("read the dependencies", err)
}

// isInfo says whether a file is a distribution's metadata.
func isInfo(name string) bool { return strings.HasSuffix(path.Dir(name), ".dist-info") }

// maxDependencyLayers is how many layers the dependencies are split into at most.
const maxDependencyLayers = 6

// ownLayer is how many bytes a distribution must have to get a layer of its own.
const ownLayer = 8 << 20

// dependencyKind begins what is said of a dependency layer.
const dependencyKind = "dependencies"

// group is what goes into one layer.
type group struct {
	about string
	items []item
}

// groups splits the files into layers: a large distribution gets one of its
// own, the largest first, and all others share the last one. Layers are then
// written, sent and unpacked several at a time, and a new version of one
// package leaves the others as they were.
func (s *stage) groups() []group {
	sizes := map[string]int64{}
	for _, file := range s.files {
		sizes[file.dist] += file.size
	}
	layer := map[string]int{}
	large := largest(sizes)
	for i, dist := range large {
		layer[dist] = i
	}
	shared := len(large)
	groups := make([]group, shared+1)
	for _, file := range s.files {
		i, ok := layer[file.dist]
		if !ok {
			i = shared
		}
		groups[i].items = append(groups[i].items,
			item{path: libFolder + "/" + file.path, mode: file.mode, size: file.size, open: file.open})
	}
	for i, dist := range large {
		groups[i].about = dependencyKind + ": " + dist
		delete(sizes, dist)
	}
	groups[shared].about = dependencyKind + ": " + names(sizes)
	if len(groups[shared].items) == 0 {
		groups = groups[:shared]
	}
	return groups
}

func largest(sizes map[string]int64) []string {
	var large []string
	for dist, size := range sizes {
		if dist != "" && size >= ownLayer {
			large = append(large, dist)
		}
	}
	slices.SortFunc(large, func(a, b string) int {
		if sizes[a] != sizes[b] {
			return int(min(1, max(-1, sizes[b]-sizes[a])))
		}
		return strings.Compare(a, b)
	})
	return large[:min(len(large), maxDependencyLayers-1)]
}

// names lists distributions for the image's history.
func names(sizes map[string]int64) string {
	var list []string
	for dist := range sizes {
		if dist != "" {
			list = append(list, dist)
		}
	}
	slices.Sort(list)
	const most = 12
	if len(list) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
}
