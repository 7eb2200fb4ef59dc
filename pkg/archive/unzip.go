package archive

import (
	"archive/zip"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"golang.org/x/sync/errgroup"
)

const (
	bufferSize = 128 << 10
	gapMost    = 64 << 10 // bytes that are read over rather than asked for anew
	runLeast   = 4 << 20  // bytes that are asked for at once, at least and at most
	runMost    = 64 << 20
)

// Unpack writes the files that the patterns mean into the folder, from several
// parts of the archive at a time, while they arrive. Progress is told of bytes
// that were unpacked, and of how many there will be.
func (z *Zip) Unpack(ctx context.Context, into *Staging, patterns []string, parts int, progress func(done, total int64)) ([]File, error) {
	chosen, err := z.chosen(patterns)
	if err != nil {
		return nil, err
	}
	u := &unpacking{zip: z, into: into, progress: progress}
	for _, e := range chosen {
		u.total += int64(e.UncompressedSize64) //nolint:gosec // bounded by the limits
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parts)
	for _, r := range runs(chosen, parts) {
		group.Go(func() error { return u.run(ctx, r) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(u.files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return u.files, nil
}

// runs are entries that are read in one go each.
func runs(chosen []entry, parts int) [][]entry {
	var size int64
	for _, e := range chosen {
		size += e.end - e.start
	}
	most := min(max(size/int64(4*parts), runLeast), runMost)
	var all [][]entry
	for _, e := range chosen {
		last := len(all) - 1
		if last < 0 || e.start-all[last][len(all[last])-1].end > gapMost || e.end-all[last][0].start > most {
			all = append(all, nil)
			last++
		}
		all[last] = append(all[last], e)
	}
	return all
}

// unpacking is one call of Unpack.
type unpacking struct {
	zip  *Zip
	into *Staging

	mu          sync.Mutex
	files       []File
	done, total int64
	progress    func(done, total int64)
}

// worker reads one run.
type worker struct {
	*unpacking
	in     counted
	buffer *bufio.Reader
	from   int64
	copy   []byte
}

func (u *unpacking) run(ctx context.Context, entries []entry) error {
	from, to := entries[0].start, entries[len(entries)-1].end
	body, err := u.zip.source.Open(ctx, from, to)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	w := &worker{unpacking: u, in: counted{r: body}, from: from, copy: make([]byte, bufferSize)}
	w.buffer = bufio.NewReaderSize(&w.in, bufferSize)
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if e.Mode().IsDir() {
			if err := u.into.mkdir(filepath.FromSlash(e.path)); err != nil {
				return err
			}
			continue
		}
		if err := w.take(e); err != nil {
			return early(ctx, e, w.in.err, err)
		}
	}
	return nil
}

// early tells an error of the source from one of the archive.
func early(ctx context.Context, e entry, source, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case source != nil && !errors.Is(source, io.EOF):
		return source
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return wrong("entry %.80q ends early", e.Name)
	}
	return err
}

// position is the offset in the archive of what is read next.
func (w *worker) position() int64 { return w.from + w.in.n - int64(w.buffer.Buffered()) }

// take unpacks one file.
func (w *worker) take(e entry) error {
	if err := w.header(e); err != nil {
		return err
	}
	begins := w.position()
	if begins+int64(e.CompressedSize64) > e.end { //nolint:gosec // the size was held against the room there is
		return wrong("entry %.80q lies upon another one", e.Name)
	}
	file, err := w.content(e)
	if err != nil {
		return err
	}
	if packed := w.position() - begins; packed != int64(e.CompressedSize64) { //nolint:gosec // as above
		return wrong("entry %.80q takes %d bytes of the archive, its directory says %d", e.Name, packed, e.CompressedSize64)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files = append(w.files, file)
	return nil
}

// header reads an entry's own header, which must agree with the directory.
func (w *worker) header(e entry) error {
	if _, err := io.CopyN(io.Discard, w.buffer, e.start-w.position()); err != nil {
		return err
	}
	var head [localSize]byte
	if _, err := io.ReadFull(w.buffer, head[:]); err != nil {
		return err
	}
	if string(head[:4]) != "PK\x03\x04" {
		return wrong("entry %.80q does not begin where the archive's directory says", e.Name)
	}
	name := make([]byte, binary.LittleEndian.Uint16(head[26:]))
	if _, err := io.ReadFull(w.buffer, name); err != nil {
		return err
	}
	if string(name) != e.Name {
		return wrong("entry %.80q calls itself %.80q", e.Name, name)
	}
	if method := binary.LittleEndian.Uint16(head[8:]); method != e.Method {
		return wrong("entry %.80q is packed by method %d, its directory says %d", e.Name, method, e.Method)
	}
	_, err := w.buffer.Discard(int(binary.LittleEndian.Uint16(head[28:])))
	return err
}

// content unpacks what is in the file, and holds it against size and checksum.
func (w *worker) content(e entry) (File, error) {
	from := io.LimitReader(w.buffer, int64(e.CompressedSize64)) //nolint:gosec // bounded
	if e.Method == zip.Deflate {
		// It reads no byte more than it needs from a reader of bytes.
		inflate := flate.NewReader(w.buffer)
		defer func() { _ = inflate.Close() }()
		from = inflate
	}
	file, err := w.into.create(e.path, e.Mode()&0o100 != 0)
	if err != nil {
		return File{}, err
	}
	defer func() { _ = file.Close() }()
	digest, sum := sha256.New(), crc32.NewIEEE()
	var size uint64
	for {
		n, err := from.Read(w.copy)
		if size += uint64(n); size > e.UncompressedSize64 { //nolint:gosec // never negative
			return File{}, wrong("entry %.80q is larger than the %d bytes that its directory says", e.Name, e.UncompressedSize64)
		}
		_, _ = digest.Write(w.copy[:n])
		_, _ = sum.Write(w.copy[:n])
		if _, err := file.Write(w.copy[:n]); err != nil {
			return File{}, diskFault(err)
		}
		w.told(int64(n))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return File{}, damaged(e, err)
		}
	}
	switch {
	case size != e.UncompressedSize64:
		return File{}, wrong("entry %.80q has %d bytes, its directory says %d", e.Name, size, e.UncompressedSize64)
	case sum.Sum32() != e.CRC32:
		return File{}, wrong("entry %.80q has another checksum than its directory says", e.Name)
	}
	if err := file.Close(); err != nil {
		return File{}, diskFault(err)
	}
	return File{Path: e.path, Size: int64(size), SHA256: hex.EncodeToString(digest.Sum(nil))}, nil //nolint:gosec // bounded
}

func damaged(e entry, err error) error {
	if corrupt := flate.CorruptInputError(0); errors.As(err, &corrupt) {
		return wrong("entry %.80q is damaged: %w", e.Name, err)
	}
	return err
}

func (u *unpacking) told(n int64) {
	if u.progress == nil || n == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.done += n
	u.progress(u.done, u.total)
}

// counted counts what is read, and keeps the error that ended it.
type counted struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}

// Disk is an archive in a file.
type Disk struct {
	File  io.ReaderAt
	Bytes int64
}

// Size is how many bytes it has.
func (d Disk) Size() int64 { return d.Bytes }

// Open gives a part of it.
func (d Disk) Open(_ context.Context, from, to int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(d.File, from, to-from)), nil
}
