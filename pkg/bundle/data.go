package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"gitlab.com/towline/towline/pkg/fault"
)

// DataDigest is the sha256, hexadecimal, of the names and contents of every
// file below dir; times, modes and empty folders do not count. It also tells
// how many files there are and their bytes. A symlink must lead to a regular
// file below dir.
func DataDigest(dir string) (digest string, files int, bytes int64, err error) {
	list, err := DataFiles(dir)
	if err != nil {
		return "", 0, 0, err
	}
	sums := make([]string, len(list))
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for i, file := range list {
		bytes += file.Size
		workers.Go(func() (err error) {
			sums[i], err = file.Digest()
			return err
		})
	}
	if err := workers.Wait(); err != nil {
		return "", 0, 0, err
	}
	whole := sha256.New()
	for i, file := range list {
		_, _ = fmt.Fprintf(whole, "%s\x00%s\n", file.Path, sums[i])
	}
	return hex.EncodeToString(whole.Sum(nil)), len(list), bytes, nil
}

// DataFiles are the files below a data folder, sorted by path: exactly those
// that DataDigest counts.
func DataFiles(dir string) ([]File, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fault.Newf(fault.Missing, "read data folder %s: %w", dir, err).
			Hintf("make the folder, or correct train.channels in towline.yaml")
	}
	var list []File
	err = filepath.WalkDir(root, func(name string, item fs.DirEntry, err error) error {
		if err != nil {
			return diskFault("read data folder", err)
		}
		if item.IsDir() {
			return nil
		}
		file, err := dataFile(root, name)
		list = append(list, file)
		return err
	})
	slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return list, err
}

func dataFile(root, name string) (File, error) {
	below, err := filepath.Rel(root, name)
	if err != nil {
		return File{}, err
	}
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return File{}, fault.Newf(fault.Repository, "read data file %s: %w", below, err).Hintf("remove the symlink")
	}
	if inside, err := filepath.Rel(root, target); err != nil || !filepath.IsLocal(inside) {
		return File{}, fault.Newf(fault.Repository, "read data file %s: the symlink leaves %s", below, root).
			Hintf("copy the file into the folder")
	}
	info, err := os.Stat(target)
	if err != nil {
		return File{}, diskFault("read data file", err)
	}
	if !info.Mode().IsRegular() {
		return File{}, fault.Newf(fault.Repository, "read data file %s: found %s, wanted a regular file", below, info.Mode().Type()).
			Hintf("remove it")
	}
	return File{Path: filepath.ToSlash(below), Mode: packedMode(info.Mode()), Size: info.Size(), onDisk: target}, nil
}

// Name is where the file lies on disk, absolute.
func (f File) Name() string { return f.onDisk }
