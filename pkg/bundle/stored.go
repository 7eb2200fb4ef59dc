package bundle

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"
)

// storedForm names what makes the bytes of a stored layer.
const storedForm = "gzip-0/klauspost-1.20.3"

// stored is a layer whose files are not compressed and not copied: its bytes
// are made from the files each time they are wanted, and are the same each time.
// A gzip of stored blocks is a gzip to everyone who reads it.
type stored struct {
	items []item
	sums  bool // the files' own digests are wanted too
}

// open begins the layer's bytes. Closing the reader early stops their making.
func (s stored) open(ctx context.Context) io.ReadCloser {
	reader, writer := io.Pipe()
	go func() {
		buffered := bufio.NewWriterSize(writer, 256<<10)
		err := s.write(ctx, buffered, io.Discard)
		if err == nil {
			err = buffered.Flush()
		}
		_ = writer.CloseWithError(err) // never fails
	}()
	return reader
}

// write makes the layer, and the archive within it on the side.
func (s stored) write(ctx context.Context, packed, plain io.Writer) error {
	zip, err := gzip.NewWriterLevel(packed, gzip.NoCompression)
	if err != nil {
		return err
	}
	archive := bufio.NewWriterSize(both(zip, plain), 256<<10)
	if err := writeTar(ctx, archive, s.items); err != nil {
		return err
	}
	return errors.Join(archive.Flush(), zip.Close())
}

// describe makes the layer's bytes for to, reading the files once, and learns
// its digests and size on the way, and those of the files if they are wanted.
// All digests are taken side by side.
func (s stored) describe(ctx context.Context, to io.Writer) (flowed, error) {
	var content *contents
	if s.sums {
		content = &contents{}
	}
	packed, plain := newMeter(), newMeter()
	aside, wait := beside(plain)
	whole, waitPacked := beside(packed)
	buffered := bufio.NewWriterSize(both(whole, to), 256<<10)
	err := stored{items: content.of(s.items)}.write(ctx, buffered, aside)
	if err == nil {
		err = buffered.Flush()
	}
	wait(err)
	waitPacked(err)
	content.end(err)
	learnt := flowed{blob: blob{Digest: packed.digest(), DiffID: plain.digest(), Size: packed.n}}
	if content != nil {
		learnt.sums = content.sums
	}
	return learnt, err
}

// both is a writer to two others.
func both(one, other io.Writer) io.Writer {
	if other == io.Discard {
		return one
	}
	return io.MultiWriter(one, other)
}

// contents learns the sha256 of each file while its layer is made; nil learns nothing.
type contents struct {
	sums []string // hexadecimal, as far as files were read
	wait func(error)
	sum  *meter
}

// of gives the items back with their contents observed.
func (c *contents) of(items []item) []item {
	if c == nil {
		return items
	}
	observed := slices.Clone(items)
	for i := range observed {
		open := items[i].open
		observed[i].open = func() (io.ReadCloser, error) {
			content, err := open()
			if err != nil {
				return nil, err
			}
			c.next()
			aside, wait := beside(c.sum)
			c.wait = wait
			return observedFile{Reader: io.TeeReader(content, aside), Closer: content}, nil
		}
	}
	return observed
}

type observedFile struct {
	io.Reader
	io.Closer
}

// next ends the file before, if there is one, and begins another.
func (c *contents) next() {
	c.end(nil)
	c.sum = newMeter()
}

func (c *contents) end(err error) {
	if c == nil || c.sum == nil {
		return
	}
	c.wait(err)
	c.sums = append(c.sums, c.sum.digest().Hex)
	c.sum = nil
}

// beside writes to another writer in a goroutine of its own; wait ends it.
func beside(to io.Writer) (aside io.Writer, wait func(error)) {
	reader, writer := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := io.CopyBuffer(to, reader, make([]byte, 256<<10))
		_ = reader.CloseWithError(err)
	}()
	return writer, func(err error) {
		_ = writer.CloseWithError(err)
		<-done
	}
}
