package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"
)

// rememberedFrom is the size, in bytes, from which on a file's digest is worth keeping.
const rememberedFrom = 4 << 20

// settled is how long a file must have been left alone before its digest is
// kept: within a clock tick of some file systems it could change unnoticed.
const settled = 2 * time.Second

// remembered is what a file was when it was hashed.
type remembered struct {
	Path    string `json:"path"`
	Size    int64  `json:"size"`
	ModTime int64  `json:"mtime_ns"`
	Inode   uint64 `json:"inode"`
	SHA256  string `json:"sha256"`
}

func rememberedOf(name string, info fs.FileInfo) remembered {
	return remembered{Path: name, Size: info.Size(), ModTime: info.ModTime().UnixNano(), Inode: inode(info)}
}

// digestOf is the sha256 of a file, hexadecimal. That of a large file which
// has not changed since it was last read comes from the cache; "" is no cache.
func digestOf(name, cache string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	keep := cache != "" && info.Size() >= rememberedFrom
	now := rememberedOf(name, info)
	if keep {
		if known, ok := recallDigest(cache, now); ok {
			return known, nil
		}
	}
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, struct{ io.Reader }{file}, make([]byte, 256<<10)); err != nil {
		return "", err
	}
	now.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if keep && time.Since(info.ModTime()) > settled {
		keepDigest(cache, now)
	}
	return now.SHA256, nil
}

// digests are those of several files, which are read side by side.
func digests(files []File) ([]string, error) {
	sums := make([]string, len(files))
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for i, file := range files {
		workers.Go(func() (err error) {
			sums[i], err = file.Digest()
			return err
		})
	}
	if err := workers.Wait(); err != nil {
		return nil, err
	}
	return sums, nil
}

func digestFile(cache, name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(cache, "digests", hex.EncodeToString(sum[:])+".json")
}

func recallDigest(cache string, now remembered) (string, bool) {
	text, err := os.ReadFile(digestFile(cache, now.Path))
	if err != nil {
		return "", false
	}
	var known remembered
	if json.Unmarshal(text, &known) != nil {
		return "", false
	}
	now.SHA256 = known.SHA256
	return known.SHA256, known == now && len(known.SHA256) == sha256.Size*2
}

// keepDigest may fail: then the file is hashed again next time.
func keepDigest(cache string, known remembered) {
	text, err := json.Marshal(known)
	if err != nil || os.MkdirAll(filepath.Join(cache, "digests"), 0o755) != nil {
		return
	}
	_ = renameio.WriteFile(digestFile(cache, known.Path), append(text, '\n'), 0o644)
}

// recalled is the digest of a file, if it is large and has not changed since it was last read.
func (f File) recalled() (string, bool) {
	info, err := os.Stat(f.onDisk)
	if err != nil || f.cache == "" || info.Size() < rememberedFrom {
		return "", false
	}
	return recallDigest(f.cache, rememberedOf(f.onDisk, info))
}

// remember keeps a digest that was learnt in passing; before is what the file
// was when its reading began.
func (f File) remember(before fs.FileInfo, sum string) {
	info, err := os.Stat(f.onDisk)
	if err != nil || f.cache == "" || info.Size() < rememberedFrom || time.Since(info.ModTime()) <= settled {
		return
	}
	now := rememberedOf(f.onDisk, info)
	if now != rememberedOf(f.onDisk, before) {
		return
	}
	now.SHA256 = sum
	keepDigest(f.cache, now)
}
