package runtime

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The first bytes of what a layer can be compressed with.
var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// maxWindow bounds the memory that a zstd layer can ask for.
const maxWindow = 32 << 20

// decompress reads a layer as it is stored: gzip, zstd or plain. It reads
// ahead on a goroutine of its own, so that one core unpacks while another
// writes files. Closing it closes the layer, which it does at once on an error.
func decompress(layer io.ReadCloser) (*ahead, error) {
	plain, release, err := plainReader(bufio.NewReaderSize(layer, 128<<10))
	if err != nil {
		_ = layer.Close()
		return nil, err
	}
	return readAhead(plain, layer, release), nil
}

func plainReader(r *bufio.Reader) (plain io.Reader, release func(), err error) {
	start, err := r.Peek(len(zstdMagic))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	nothing := func() {}
	switch {
	case bytes.HasPrefix(start, gzipMagic):
		z, err := gzip.NewReader(r)
		return z, nothing, err
	case bytes.HasPrefix(start, zstdMagic):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return r, nothing, nil
}

// ahead is a reader that another goroutine fills.
type ahead struct {
	layer io.Closer
	full  chan chunk
	empty chan []byte
	quit  chan struct{}
	done  chan struct{}
	now   chunk
	at    int
}

type chunk struct {
	data []byte
	err  error
}

func readAhead(r io.Reader, layer io.Closer, release func()) *ahead {
	const chunks, size = 4, 256 << 10
	a := &ahead{
		layer: layer,
		full:  make(chan chunk, chunks),
		empty: make(chan []byte, chunks),
		quit:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	for range chunks {
		a.empty <- make([]byte, size)
	}
	go func() {
		defer close(a.done)
		defer release()
		a.fill(r)
	}()
	return a
}

func (a *ahead) fill(r io.Reader) {
	for {
		var buf []byte
		select {
		case buf = <-a.empty:
		case <-a.quit:
			return
		}
		n, err := io.ReadFull(r, buf[:cap(buf)])
		if errors.Is(err, io.ErrUnexpectedEOF) && n > 0 {
			// ReadFull's own word for a short last chunk, or a layer cut short: the next read tells.
			err = nil
		}
		a.full <- chunk{buf[:n], err}
		if err != nil {
			return
		}
	}
}

func (a *ahead) Read(b []byte) (int, error) {
	for a.at == len(a.now.data) {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.data != nil {
			a.empty <- a.now.data
		}
		a.now, a.at = <-a.full, 0
	}
	n := copy(b, a.now.data[a.at:])
	a.at += n
	return n, nil
}

// Close ends the reading, also one that waits for a slow layer.
func (a *ahead) Close() {
	close(a.quit)
	_ = a.layer.Close()
	<-a.done
}
