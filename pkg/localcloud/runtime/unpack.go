package runtime

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/fault"
)

// A layer is somebody else's work. These are far above what an image for
// SageMaker may be (52 GB a layer in ECR), and far below what fills a machine
// with names.
const (
	maxLayerBytes   = int64(64) << 30
	maxLayerEntries = 1_000_000
	maxNameBytes    = 2048
	maxDepth        = 128
)

// slack is how much more than it has read of a layer an unpacker may write:
// archives can describe holes, which take nothing in them and much on disk.
const slack = int64(1) << 20

// unpack writes a layer's files below dir, which is empty and stays inside.
func unpack(ctx context.Context, layer v1.Layer, id v1.Hash, dir string) error {
	err := unpackTo(ctx, layer, id, dir)
	if err == nil || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fault.Newf(fault.Remote, "unpack layer %s: %w", id.Hex[:min(12, len(id.Hex))], err)
}

func unpackTo(ctx context.Context, layer v1.Layer, id v1.Hash, dir string) error {
	compressed, err := layer.Compressed()
	if err != nil {
		return err
	}
	plain, err := decompress(compressed)
	if err != nil {
		return err
	}
	defer plain.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()

	hash := sha256.New()
	stream := &counter{r: io.TeeReader(plain, hash), ctx: ctx}
	u := &unpacker{root: root, stream: stream, folders: map[string]*folder{}, buf: make([]byte, 256<<10)}
	defer u.close()
	if err := u.all(tar.NewReader(stream)); err != nil {
		return err
	}
	if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{stream}, u.buf); err != nil { // what follows the archive's end counts for the id
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != id.Hex {
		return fmt.Errorf("found content of id sha256:%s, wanted %s", got, id)
	}
	return nil
}

// counter counts what was read, stops at the limit, and ends with its context.
type counter struct {
	r   io.Reader
	ctx context.Context
	n   int64
}

func (c *counter) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(b)
	c.n += int64(n)
	if c.n > maxLayerBytes {
		return n, fmt.Errorf("found more than %d bytes", maxLayerBytes)
	}
	return n, err
}

// unpacker writes the entries of one archive into a folder that was empty.
// Nothing goes through a symbolic link: an entry's folders must be folders
// that this unpacker made, and all is opened beneath an os.Root besides.
type unpacker struct {
	root    *os.Root
	stream  *counter
	written int64
	buf     []byte

	folders map[string]*folder // those made so far
	recent  []*folder          // those kept open, oldest first
}

// folder is one that the unpacker made. Files come folder by folder, so a few
// are kept open, and a file's name needs no walk from the top.
type folder struct {
	root *os.Root
}

const keepOpen = 16

func (u *unpacker) all(archive *tar.Reader) error {
	for n := 0; ; n++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n >= maxLayerEntries {
			return fmt.Errorf("found more than %d entries", maxLayerEntries)
		}
		if err := u.entry(header, archive); err != nil {
			return fmt.Errorf("entry %q: %w", header.Name, withoutPath(err))
		}
	}
}

func (u *unpacker) entry(header *tar.Header, content io.Reader) error {
	name, err := inside(header.Name)
	if err != nil || name == "." {
		return err
	}
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	if err := u.ensure(dir); err != nil {
		return err
	}
	if marked, ok := strings.CutPrefix(base, whiteout); ok {
		return u.mark(name, marked)
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return u.ensure(name)
	case tar.TypeReg, tar.TypeGNUSparse:
		return u.file(dir, base, header, content)
	case tar.TypeSymlink:
		return u.replace(name, func() error { return u.root.Symlink(header.Linkname, name) })
	case tar.TypeLink:
		return u.link(name, header.Linkname)
	}
	return nil // device nodes, pipes and the like are nothing for a program to find
}

// inside is the entry's name relative to the image's root. A leading slash
// means that root; a name that leaves it is refused.
func inside(name string) (string, error) {
	clean := path.Clean(strings.TrimLeft(name, "/"))
	switch {
	case !filepath.IsLocal(clean):
		return "", errors.New("its name leads out of the image")
	case len(clean) > maxNameBytes || strings.Count(clean, "/") >= maxDepth:
		return "", errors.New("its name is too long")
	}
	return clean, nil
}

// ensure makes a folder and those above it. What is there already must be a
// folder too.
func (u *unpacker) ensure(name string) error {
	if name == "." || u.folders[name] != nil {
		return nil
	}
	above, base := path.Split(name)
	if err := u.ensure(path.Clean(above)); err != nil {
		return err
	}
	if strings.HasPrefix(base, whiteout) {
		return fmt.Errorf("%s is a whiteout, not a folder", name)
	}
	if err := u.root.Mkdir(name, 0o755); err != nil {
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%s is a file or a link already, not a folder", name)
		}
		return err
	}
	u.folders[name] = &folder{}
	return nil
}

// open opens a folder that was made, or finds it open.
func (u *unpacker) open(name string) (*os.Root, error) {
	if name == "." {
		return u.root, nil
	}
	f := u.folders[name]
	if f.root != nil {
		return f.root, nil
	}
	opened, err := u.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	if len(u.recent) >= keepOpen {
		oldest := u.recent[0]
		u.recent = append(u.recent[:0], u.recent[1:]...)
		_ = oldest.root.Close()
		oldest.root = nil
	}
	f.root = opened
	u.recent = append(u.recent, f)
	return opened, nil
}

func (u *unpacker) close() {
	for _, f := range u.recent {
		_ = f.root.Close()
	}
}

// mark keeps a whiteout as an empty file, for those who assemble the layers.
func (u *unpacker) mark(name, marked string) error {
	switch marked {
	case "", ".", "..":
		return errors.New("it is a whiteout of no file")
	}
	return u.replace(name, func() error {
		f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
		if err != nil {
			return err
		}
		return f.Close()
	})
}

// file writes a regular file without write bits: many root trees share it.
func (u *unpacker) file(dir, base string, header *tar.Header, content io.Reader) error {
	parent, err := u.open(dir)
	if err != nil {
		return err
	}
	name := path.Join(dir, base)
	mode := header.FileInfo().Mode().Perm()&0o555 | 0o444
	var f *os.File
	err = u.replace(name, func() (err error) {
		f, err = parent.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(u.copy(f, content, header.Size), f.Close())
}

// copy writes the content of one entry, and no more in sum than was read.
func (u *unpacker) copy(f *os.File, content io.Reader, declared int64) error {
	for declared > 0 {
		n, err := io.ReadFull(content, u.buf[:min(int64(len(u.buf)), declared)])
		declared -= int64(n)
		u.written += int64(n)
		if u.written > u.stream.n+slack {
			return errors.New("it declares more bytes than the layer holds")
		}
		if _, err := f.Write(u.buf[:n]); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// link makes a hard link to a file that this layer brought before.
func (u *unpacker) link(name, target string) error {
	old, err := inside(target)
	if err != nil {
		return fmt.Errorf("it links to %q: %w", target, err)
	}
	if dir := path.Dir(old); dir != "." && u.folders[dir] == nil {
		return fmt.Errorf("it links to %q, which this layer does not hold", target)
	}
	info, err := u.root.Lstat(old)
	if err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("it links to %q, which is no file of this layer", target)
	}
	if old == name {
		return nil
	}
	return u.replace(name, func() error { return u.root.Link(old, name) })
}

// replace makes something that is not a folder; the last entry of a name wins.
func (u *unpacker) replace(name string, create func() error) error {
	err := create()
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	if u.folders[name] != nil {
		return errors.New("it is a folder already")
	}
	if err := u.root.Remove(name); err != nil {
		return err
	}
	return create()
}

// withoutPath leaves out the names of temporary files, which nobody knows.
func withoutPath(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	var between *os.LinkError
	if errors.As(err, &between) {
		return between.Err
	}
	return err
}
