package archive

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"slices"
)

const (
	tailSize      = 256 << 10 // bytes of an archive's end that are read first
	mostDirectory = 32 << 20  // bytes of its directory
	endSize       = 22        // bytes of the record at the end, without its comment
	localSize     = 30        // bytes of an entry's own header, without its name
)

// Tail is how much of an archive's end a caller may read beforehand, in bytes.
const Tail = tailSize

// entry is one entry of a zip archive.
type entry struct {
	*zip.File
	path  string
	start int64 // offset of its own header
	end   int64 // offset of what follows it
}

// Zip is a zip archive whose directory was read.
type Zip struct {
	source  Source
	limits  Limits
	entries []entry // in the order in which they lie in the archive
}

// OpenZip reads the directory of an archive. A tail that the caller has already
// is not read again.
func OpenZip(ctx context.Context, source Source, tail []byte, limits Limits) (*Zip, error) {
	z := &Zip{source: source, limits: limits.settled()}
	if len(tail) == 0 {
		var err error
		if tail, err = read(ctx, source, max(0, source.Size()-tailSize), source.Size()); err != nil {
			return nil, err
		}
	}
	end, err := findEnd(tail, source.Size())
	if err != nil {
		return nil, err
	}
	if end.count > uint64(z.limits.Files) {
		return nil, wrong("the archive has %d entries, wanted %d at most", end.count, z.limits.Files)
	}
	if end.size > mostDirectory {
		return nil, wrong("the archive has a directory of %d bytes, wanted %d at most", end.size, mostDirectory)
	}
	from := source.Size() - int64(len(tail))
	if end.start < from {
		more, err := read(ctx, source, end.start, from)
		if err != nil {
			return nil, err
		}
		tail, from = append(more, tail...), end.start
	}
	d := &directory{tail: tail, from: from}
	reader, err := zip.NewReader(d, source.Size())
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, wrong("the archive's directory is damaged: %w", err)
	}
	if len(reader.File) > z.limits.Files {
		return nil, wrong("the archive has %d entries, wanted %d at most", len(reader.File), z.limits.Files)
	}
	d.own = true
	return z, z.locate(reader.File, end.start)
}

func read(ctx context.Context, source Source, from, to int64) ([]byte, error) {
	body, err := source.Open(ctx, from, to)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	part := make([]byte, to-from)
	_, err = io.ReadFull(body, part)
	return part, err
}

// ending is what the record at the end says of the directory.
type ending struct {
	count uint64
	size  uint64
	start int64 // offset of the directory
}

// findEnd reads the record at the end of an archive (APPNOTE.TXT 4.3.14 to 4.3.16).
func findEnd(tail []byte, size int64) (ending, error) {
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || at+endSize > len(tail) {
		return ending{}, wrong("it is no zip archive, or its end is missing")
	}
	record := tail[at:]
	e := ending{count: uint64(binary.LittleEndian.Uint16(record[10:])), size: uint64(binary.LittleEndian.Uint32(record[12:]))}
	offset := binary.LittleEndian.Uint32(record[16:])
	from := size - int64(len(tail))
	stop := at
	if e.count == 0xffff || e.size == 0xffffffff || offset == 0xffffffff {
		if large, ok := findLarge(tail, at, from); ok {
			stop, e.count, e.size = large.at, large.count, large.size
		}
	}
	e.start = from + int64(stop) - int64(min(e.size, 1<<62)) //nolint:gosec // bounded
	if e.start < 0 {
		return ending{}, wrong("the archive's directory would begin before the archive: it is damaged, or a part is missing")
	}
	return e, nil
}

type large struct {
	at          int // of the record, in the tail
	count, size uint64
}

// findLarge reads the record of an archive with more than 65,535 entries or 4 GiB.
func findLarge(tail []byte, end int, from int64) (large, bool) {
	locator := end - 20
	if locator < 0 || !bytes.HasPrefix(tail[locator:], []byte("PK\x06\x07")) {
		return large{}, false
	}
	at := int64(binary.LittleEndian.Uint64(tail[locator+8:])) - from //nolint:gosec // checked next
	if at < 0 || at+56 > int64(locator) || !bytes.HasPrefix(tail[at:], []byte("PK\x06\x06")) {
		return large{}, false
	}
	record := tail[at:]
	return large{int(at), binary.LittleEndian.Uint64(record[32:]), binary.LittleEndian.Uint64(record[40:])}, true
}

// directory is the end of an archive as archive/zip reads it. The library keeps
// the offsets of entries to itself, but gives that of an entry's content, which
// it finds by the entry's own header. Those are not read yet: in their place it
// is shown headers without a name.
type directory struct {
	tail []byte
	from int64
	own  bool // the directory is known, and what is read now are entries' own headers
}

func (d *directory) ReadAt(p []byte, offset int64) (int, error) {
	clear(p)
	switch {
	case d.own:
		copy(p, "PK\x03\x04")
	case offset >= d.from+int64(len(d.tail)):
		return 0, io.EOF
	case offset >= d.from:
		if n := copy(p, d.tail[offset-d.from:]); n < len(p) {
			return n, io.EOF
		}
	}
	return len(p), nil
}

// locate finds where each entry lies, and refuses entries that lie upon each other.
func (z *Zip) locate(files []*zip.File, directory int64) error {
	names := newCensus()
	for _, file := range files {
		name, err := cleanName(file.Name)
		if err != nil {
			return err
		}
		dir := file.Mode().IsDir()
		if name == "." && dir {
			continue
		}
		if err := names.add(name, dir); err != nil {
			return err
		}
		content, err := file.DataOffset()
		if err != nil {
			return wrong("the archive's directory is damaged: %w", err)
		}
		z.entries = append(z.entries, entry{File: file, path: name, start: content - localSize})
	}
	slices.SortFunc(z.entries, func(a, b entry) int { return cmp.Compare(a.start, b.start) })
	for i := range z.entries {
		e := &z.entries[i]
		e.end = directory
		if i+1 < len(z.entries) {
			e.end = z.entries[i+1].start
		}
		room := e.end - e.start - localSize - int64(len(e.Name))
		if e.start < 0 || room < 0 || e.CompressedSize64 > uint64(room) {
			return wrong("entry %.80q lies upon another one, or outside of the archive", e.Name)
		}
	}
	return nil
}

// chosen are the files that are asked for. It refuses what is no plain file,
// and more than the limits allow.
func (z *Zip) chosen(patterns []string) ([]entry, error) {
	var all []entry
	var unpacked, packed uint64
	for _, e := range z.entries {
		if !Match(patterns, e.path) {
			continue
		}
		if err := e.plain(); err != nil {
			return nil, err
		}
		all = append(all, e)
		packed += e.CompressedSize64
		if unpacked += e.UncompressedSize64; e.UncompressedSize64 > uint64(z.limits.Size) || unpacked > uint64(z.limits.Size) {
			return nil, wrong("the archive would unpack to more than %d bytes", z.limits.Size)
		}
	}
	if unpacked > ratioFrom && unpacked/uint64(z.limits.Ratio) > packed {
		return nil, wrong("the archive would unpack to %d times its size, wanted %d at most", unpacked/max(packed, 1), z.limits.Ratio)
	}
	return all, nil
}

func (e entry) plain() error {
	mode := e.Mode()
	switch {
	case mode.IsDir():
		return nil
	case mode&fs.ModeSymlink != 0:
		return wrong("entry %.80q is a symlink, wanted a file", e.Name)
	case !mode.IsRegular():
		return wrong("entry %.80q is a device or a pipe, wanted a file", e.Name)
	case e.Flags&0x1 != 0:
		return wrong("entry %.80q is encrypted", e.Name)
	case e.Method != zip.Store && e.Method != zip.Deflate:
		return wrong("entry %.80q is packed by method %d, wanted deflate or none", e.Name, e.Method)
	}
	return nil
}

// Names are the paths of the files in the archive, in the order in which they lie there.
func (z *Zip) Names() []string {
	var names []string
	for _, e := range z.entries {
		if !e.Mode().IsDir() {
			names = append(names, e.path)
		}
	}
	return names
}
