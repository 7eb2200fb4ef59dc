package bundle

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// layerTime is every packed file's modification time, so that none enters a digest.
var layerTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// item is one file on its way into a layer.
type item struct {
	path string // slash-separated, absolute in the image, without the leading slash
	mode fs.FileMode
	size int64
	open func() (io.ReadCloser, error) // nil for a folder

	uid, gid int
}

// blob describes a layer that is written.
type blob struct {
	Digest v1.Hash `json:"digest"`
	DiffID v1.Hash `json:"diff_id"`
	Size   int64   `json:"size"`
	About  string  `json:"about"` // for the image's history
	Key    string  `json:"key,omitempty"`

	file     string // on this disk; "" if it lies elsewhere
	registry string // repository that has it, where file is ""
	image    string // there, that has the layer
	weights  []File // what it is made from whenever it is wanted, where file is ""
	how, why string
}

// How a layer came about.
const (
	howBase     = "base"     // the base image's
	howBuilt    = "built"    // made by this run
	howCached   = "cached"   // found on this machine
	howRegistry = "registry" // found in an image registry, and left there
)

// note remembers how the layer came about, for people.
func (b *blob) note(how, why string) { b.how, b.why = how, why }

// writeLayer packs items, which must be sorted by path, in one pass:
// tar → sha256 and gzip → sha256 → a file of folder that is named by its digest.
func writeLayer(ctx context.Context, folder, about string, items []item) (blob, error) {
	file, err := os.CreateTemp(folder, ".layer-*")
	if err != nil {
		return blob{}, diskFault("write to "+folder, err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	defer func() { _ = file.Close() }()
	b := blob{About: about}
	if err := b.fill(ctx, file, items); err != nil {
		return blob{}, diskFault("write to "+folder, err)
	}
	if err := file.Close(); err != nil {
		return blob{}, diskFault("write to "+folder, err)
	}
	b.file = filepath.Join(folder, b.Digest.Hex)
	if err := os.Chmod(file.Name(), 0o644); err != nil {
		return blob{}, diskFault("write to "+folder, err)
	}
	return b, diskFault("write to "+folder, os.Rename(file.Name(), b.file))
}

// fill writes the layer and learns its digests and size.
func (b *blob) fill(ctx context.Context, to io.Writer, items []item) error {
	packed, plain := newMeter(), newMeter()
	zip := newPacker(io.MultiWriter(to, packed))
	err := writeTar(ctx, io.MultiWriter(plain, zip), items)
	if err := errors.Join(err, zip.Close()); err != nil {
		return err
	}
	b.Digest, b.DiffID, b.Size = packed.digest(), plain.digest(), packed.n
	return nil
}

// meter hashes and counts what is written to it.
type meter struct {
	sum hash.Hash
	n   int64
}

func newMeter() *meter { return &meter{sum: sha256.New()} }

func (m *meter) Write(p []byte) (int, error) {
	m.n += int64(len(p))
	return m.sum.Write(p)
}

func (m *meter) digest() v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(m.sum.Sum(nil))}
}

// writeTar writes the items and the folders above them, each folder once and
// before what lies in it.
func writeTar(ctx context.Context, to io.Writer, items []item) error {
	archive := tar.NewWriter(to)
	folders := map[string]bool{".": true}
	buffer := make([]byte, 128<<10)
	for _, it := range items {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := writeFolders(archive, folders, path.Dir(it.path)); err != nil {
			return err
		}
		if err := writeItem(archive, it, buffer); err != nil {
			return err
		}
	}
	return archive.Close()
}

func writeFolders(archive *tar.Writer, known map[string]bool, folder string) error {
	if known[folder] {
		return nil
	}
	if err := writeFolders(archive, known, path.Dir(folder)); err != nil {
		return err
	}
	known[folder] = true
	return archive.WriteHeader(&tar.Header{
		Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755, ModTime: layerTime,
	})
}

func writeItem(archive *tar.Writer, it item, buffer []byte) error {
	if it.open == nil {
		return archive.WriteHeader(&tar.Header{
			Typeflag: tar.TypeDir, Name: it.path + "/", Mode: int64(it.mode), Uid: it.uid, Gid: it.gid, ModTime: layerTime,
		})
	}
	err := archive.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: it.path, Mode: int64(it.mode), Size: it.size, ModTime: layerTime,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", it.path, err)
	}
	content, err := it.open()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	n, err := io.CopyBuffer(archive, io.LimitReader(content, it.size+1), buffer)
	if errors.Is(err, tar.ErrWriteTooLong) || err == nil && n != it.size {
		err = errors.New("the file changed while it was packed")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", it.path, err)
	}
	return nil
}

func diskItem(name string, mode fs.FileMode, size int64, onDisk string) item {
	return item{path: name, mode: mode, size: size, open: func() (io.ReadCloser, error) { return os.Open(onDisk) }}
}
