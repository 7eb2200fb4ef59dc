package bundle

import (
	"errors"
	"fmt"
	"io"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
)

// countedLayer is a layer whose bytes are counted as they are read for sending.
type countedLayer struct {
	d    v1.Descriptor
	diff v1.Hash
	open func() (io.ReadCloser, error)
	sent *tally
	i    int
}

func (l countedLayer) Digest() (v1.Hash, error)            { return l.d.Digest, nil }
func (l countedLayer) Size() (int64, error)                { return l.d.Size, nil }
func (l countedLayer) MediaType() (types.MediaType, error) { return l.d.MediaType, nil }
func (l countedLayer) DiffID() (v1.Hash, error)            { return l.diff, nil }

// Compressed may be called again when an upload is retried: it then counts
// from zero. Nothing is opened before the first byte is wanted.
func (l countedLayer) Compressed() (io.ReadCloser, error) {
	return &counted{ReadCloser: &lazy{open: l.open}, layer: l}, nil
}

// Uncompressed is for readers other than a push, and not counted.
func (l countedLayer) Uncompressed() (io.ReadCloser, error) {
	packed, err := l.open()
	if err != nil {
		return nil, err
	}
	plain, err := gzip.NewReader(packed)
	if err != nil {
		_ = packed.Close()
		return nil, err
	}
	return &unpacked{Reader: plain, packed: packed}, nil
}

type unpacked struct {
	*gzip.Reader
	packed io.Closer
}

func (u *unpacked) Close() error { return errors.Join(u.Reader.Close(), u.packed.Close()) }

type counted struct {
	io.ReadCloser
	layer  countedLayer
	begun  bool
	closed bool
}

// Close may be called again: a transport that sends a request again does so.
func (c *counted) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	return c.ReadCloser.Close()
}

func (c *counted) Read(p []byte) (int, error) {
	if !c.begun {
		c.begun = true
		c.layer.sent.begin(c.layer.i)
	}
	n, err := c.ReadCloser.Read(p)
	c.layer.sent.add(c.layer.i, int64(n))
	return n, err
}

// lazy opens what it reads when it is first read.
type lazy struct {
	open    func() (io.ReadCloser, error)
	content io.ReadCloser
}

func (l *lazy) Read(p []byte) (int, error) {
	if l.content == nil {
		content, err := l.open()
		if err != nil {
			return 0, err
		}
		l.content = content
	}
	return l.content.Read(p)
}

func (l *lazy) Close() error {
	if l.content == nil {
		return nil
	}
	return l.content.Close()
}

// tally counts the bytes of a push, layer by layer.
type tally struct {
	mu       sync.Mutex
	sizes    []int64
	done     []int64
	opened   []bool
	progress func(done, total int64)
	present  bool // the whole image was there
}

func newTally(layers []v1.Descriptor, progress func(done, total int64)) *tally {
	t := &tally{progress: progress, done: make([]int64, len(layers)), opened: make([]bool, len(layers))}
	for _, d := range layers {
		t.sizes = append(t.sizes, d.Size)
	}
	return t
}

// grow takes in one more layer, and returns its place.
func (t *tally) grow(size int64) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sizes, t.done, t.opened = append(t.sizes, size), append(t.done, 0), append(t.opened, false)
	return len(t.sizes) - 1
}

// sent says whether a layer's bytes were read.
func (t *tally) sent(i int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return i >= 0 && i < len(t.opened) && t.opened[i]
}

// arrived counts a layer as there, and sent before if it was.
func (t *tally) arrived(i int, sent bool) {
	t.update(func() { t.done[i], t.opened[i] = t.sizes[i], t.opened[i] || sent })
}

func (t *tally) begin(i int) { t.update(func() { t.done[i], t.opened[i] = 0, true }) }

func (t *tally) add(i int, n int64) { t.update(func() { t.done[i] += n }) }

// settle counts a layer as there, however it came there.
func (t *tally) settle(i int) { t.arrived(i, false) }

func (t *tally) skip() {
	t.update(func() {
		copy(t.done, t.sizes)
		t.present = true
	})
}

func (t *tally) update(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
	t.progress(sum(t.done), sum(t.sizes))
}

func sum(list []int64) int64 {
	var total int64
	for _, n := range list {
		total += n
	}
	return total
}

// String says what was sent and what was there.
func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.present {
		return "the registry has this image: nothing sent"
	}
	var layers int
	var bytes int64
	for i, opened := range t.opened {
		if opened {
			layers++
			bytes += t.sizes[i]
		}
	}
	return fmt.Sprintf("%s sent (%s), %d were there", count(layers, "layer"), megabytes(bytes), len(t.sizes)-layers)
}
