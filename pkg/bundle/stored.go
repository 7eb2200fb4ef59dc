package bundle

import (
	"bufio"
	"context"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

// storedForm names what makes the bytes of a stored layer.
const storedForm = "gzip-0/klauspost-1.20.3"

// stored is a layer whose files are not compressed and not copied: its bytes
// are made from the files each time they are wanted, and are the same each time.
// A gzip of stored blocks is a gzip to everyone who reads it.
type stored struct{ items []item }

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
	var both io.Writer = zip
	if plain != io.Discard {
		both = io.MultiWriter(plain, zip)
	}
	archive := bufio.NewWriterSize(both, 256<<10)
	if err := writeTar(ctx, archive, s.items); err != nil {
		return err
	}
	return errors.Join(archive.Flush(), zip.Close())
}

// describe reads the files once, and learns the layer's digests and size. The
// two digests are taken side by side.
func (s stored) describe(ctx context.Context) (blob, error) {
	packed, plain := newMeter(), newMeter()
	aside, wait := beside(plain)
	buffered := bufio.NewWriterSize(packed, 256<<10)
	err := s.write(ctx, buffered, aside)
	wait(err)
	if err == nil {
		err = buffered.Flush()
	}
	return blob{Digest: packed.digest(), DiffID: plain.digest(), Size: packed.n}, err
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
