package bundle

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress"
	"github.com/klauspost/compress/flate"
)

// compressor names what makes the bytes of a compressed layer. A release of the
// library may change them, so its version is part of the key of every cached layer.
const compressor = "gzip-1-chunks-1M-sampled-12/klauspost-1.20.3"

// chunkSize is how many bytes are compressed at a time.
const chunkSize = 1 << 20

// gzipHead tells of deflate, no name, no time, the fastest level and an unknown
// system; lastBlock is an empty stored block that ends the stream (RFC 1952, 1951).
var (
	gzipHead  = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff}
	lastBlock = []byte{1, 0, 0, 0xff, 0xff}
)

// packer writes one gzip member. It is made of chunks that are compressed
// several at a time and do not refer to each other, so that the number of
// processors does not show in the bytes. A chunk that would not shrink is stored.
type packer struct {
	to   io.Writer
	fill *chunk // takes in what is written
	sum  uint32 // CRC-32 of what was written
	size uint32 // its length, modulo 2³²

	spare chan *chunk // chunks that may be filled
	line  chan *chunk // chunks on their way, in the order of the stream
	done  chan error
}

func newPacker(to io.Writer) *packer {
	atOnce := runtime.GOMAXPROCS(0)
	p := &packer{
		to: to, spare: make(chan *chunk, atOnce+1), line: make(chan *chunk, atOnce+1), done: make(chan error, 1),
	}
	for range atOnce + 1 {
		p.spare <- chunks.Get().(*chunk)
	}
	p.fill = <-p.spare
	go func() { p.done <- p.collect() }()
	return p
}

// Write takes bytes in. An error of what it writes to is told by Close.
func (p *packer) Write(plain []byte) (int, error) {
	p.sum = crc32.Update(p.sum, crc32.IEEETable, plain)
	p.size += uint32(len(plain))
	for rest := plain; len(rest) > 0; {
		rest = p.fill.take(rest)
		if len(p.fill.plain) == chunkSize {
			p.send()
		}
	}
	return len(plain), nil
}

// send lets the chunk be compressed, and waits until another may be filled.
func (p *packer) send() {
	full := p.fill
	p.line <- full
	go func() { full.ready <- full.compress() }()
	p.fill = <-p.spare
}

// Close ends the member.
func (p *packer) Close() error {
	if len(p.fill.plain) > 0 {
		p.send()
	}
	close(p.line)
	err := <-p.done
	chunks.Put(p.fill)
	for len(p.spare) > 0 {
		chunks.Put(<-p.spare)
	}
	if err != nil {
		return err
	}
	end := binary.LittleEndian.AppendUint32(nil, p.sum)
	end = binary.LittleEndian.AppendUint32(end, p.size)
	_, err = p.to.Write(append(lastBlock[:len(lastBlock):len(lastBlock)], end...))
	return err
}

// collect writes the chunks in their order. After an error it lets the rest go by.
func (p *packer) collect() error {
	_, failed := p.to.Write(gzipHead)
	for c := range p.line {
		err := <-c.ready
		if failed == nil && err == nil {
			_, err = p.to.Write(c.packed)
		}
		failed = errors.Join(failed, err)
		c.plain, c.packed = c.plain[:0], c.packed[:0]
		p.spare <- c
	}
	return failed
}

// chunks are kept for the next layer: each holds 2 MiB.
var chunks = sync.Pool{New: func() any {
	return &chunk{
		plain: make([]byte, 0, chunkSize), packed: make([]byte, 0, chunkSize+blockHeads), ready: make(chan error, 1),
	}
}}

// blockHeads has room for the heads of a chunk's stored blocks.
const blockHeads = 1 << 10

// chunk is a piece of the stream.
type chunk struct {
	plain, packed []byte
	shrink        *flate.Writer
	ready         chan error
}

// take fills the chunk, and gives back what has no room.
func (c *chunk) take(plain []byte) (rest []byte) {
	n := min(len(plain), chunkSize-len(c.plain))
	c.plain = append(c.plain, plain[:n]...)
	return plain[n:]
}

// Write takes in what is compressed.
func (c *chunk) Write(packed []byte) (int, error) {
	c.packed = append(c.packed, packed...)
	return len(packed), nil
}

// compress writes whole blocks, which end at the end of a byte.
func (c *chunk) compress() error {
	if !shrinks(c.plain) {
		c.store()
		return nil
	}
	if c.shrink == nil {
		writer, err := flate.NewWriter(c, flate.BestSpeed)
		if err != nil {
			return err
		}
		c.shrink = writer
	}
	c.shrink.Reset(c)
	if _, err := c.shrink.Write(c.plain); err != nil {
		return err
	}
	return c.shrink.Flush()
}

// storedBlock is the most that a stored block takes, in bytes (RFC 1951, 3.2.4).
const storedBlock = 65535

// store writes stored blocks, and an empty one as a flush does.
func (c *chunk) store() {
	for rest := c.plain; ; {
		n := min(len(rest), storedBlock)
		c.packed = append(c.packed, 0, byte(n), byte(n>>8), ^byte(n), ^byte(n>>8))
		if n == 0 {
			return
		}
		c.packed = append(c.packed, rest[:n]...)
		rest = rest[n:]
	}
}

// A chunk is looked at in so many places, with so many bytes each. Where the
// library's estimate is less than this on average, it does not shrink: random
// bytes come to 0.03, and to 0.07 with headers of an archive among them; machine
// code and tables to 0.3 at least.
const (
	samples    = 12
	sampleSize = 4 << 10
	leastWorth = 0.1
)

// shrinks says whether it is worth compressing bytes.
func shrinks(plain []byte) bool {
	if len(plain) <= samples*sampleSize {
		return true
	}
	var sum float64
	for i := range samples {
		at := i * (len(plain) - sampleSize) / (samples - 1)
		sum += compress.Estimate(plain[at : at+sampleSize])
	}
	return sum/samples >= leastWorth
}
