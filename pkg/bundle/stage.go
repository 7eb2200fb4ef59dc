package bundle

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"maps"
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
	if err := s.refuseEditable(job); err != nil {
		return nil, err
	}
	if err := s.checkNative(job, b.o.Log); err != nil {
		return nil, err
	}
	if err := s.scripts(job); err != nil {
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

// size is how many bytes the files of a group have.
func (g group) size() int64 {
	var n int64
	for _, it := range g.items {
		n += it.size
	}
	return n
}

// largestFirst is the order in which groups are packed: then the last ones,
// beside which nothing is left to do, are short. It says where each group is.
func largestFirst(groups []group) []int {
	order := make([]int, len(groups))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(groups[b].size(), groups[a].size()) })
	return order
}

// sharedLayer is how many bytes of small distributions share a layer, about.
const sharedLayer = 8 << 20

// splitting names how files are split into layers; it is part of their key.
const splitting = "own 8M, shared 8M by name"

// groups splits the files into layers: a large distribution gets one of its
// own, the largest first, and all others share those that are left, each in
// the one that its name leads to. Layers are then written, sent and unpacked
// several at a time, and a new version of one package leaves the others as they
// were.
func (s *stage) groups() []group {
	sizes := map[string]int64{}
	for _, file := range s.files {
		sizes[file.dist] += file.size
	}
	layer := map[string]int{}
	large := largest(sizes)
	for i, dist := range large {
		layer[dist] = i
		delete(sizes, dist)
	}
	buckets := min(max(1, int(sum(slices.Collect(maps.Values(sizes)))/sharedLayer)), maxDependencyLayers-len(large))
	groups := make([]group, len(large)+buckets)
	members := make([][]string, len(groups))
	for dist := range sizes {
		layer[dist] = len(large) + bucket(dist, buckets)
	}
	for dist, i := range layer {
		members[i] = append(members[i], dist)
	}
	for _, file := range s.files {
		i := layer[file.dist]
		groups[i].items = append(groups[i].items,
			item{path: libFolder + "/" + file.path, mode: file.mode, size: file.size, open: file.open})
	}
	for i := range groups {
		groups[i].about = dependencyKind + ": " + names(members[i])
	}
	return slices.DeleteFunc(groups, func(g group) bool { return len(g.items) == 0 })
}

// bucket is where a distribution goes, whatever its version.
func bucket(dist string, of int) int {
	name, _, _ := strings.Cut(dist, " ")
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(name))
	return int(sum.Sum32() % uint32(of))
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
func names(dists []string) string {
	list := slices.DeleteFunc(slices.Sorted(slices.Values(dists)), func(dist string) bool { return dist == "" })
	const most = 12
	if len(list) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
}
