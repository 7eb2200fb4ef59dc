package objects

import (
	"bufio"
	"crypto/sha1" // one of S3's checksums
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/johannesboyne/gofakes3"
)

// decodeBody replaces a request's body by its plain content: chunks are
// joined, and checksums before or behind them are verified at the end.
func decodeBody(r *http.Request) error {
	var chunks *chunked
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		size, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
		if err != nil || size < 0 {
			return errors.New("x-amz-decoded-content-length is missing")
		}
		chunks = &chunked{in: bufio.NewReader(r.Body)}
		r.Body = plain{chunks, r.Body}
		r.ContentLength = size
		r.Header.Set("Content-Length", strconv.FormatInt(size, 10))
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		r.Header.Set("Content-Encoding", withoutChunks(r.Header.Get("Content-Encoding")))
	}
	name, sum := checksum(r.Header)
	if sum == nil {
		return nil
	}
	r.Body = plain{&verified{in: r.Body, sum: sum, want: func() string {
		if value := r.Header.Get(name); value != "" || chunks == nil {
			return value
		}
		return chunks.trailer.Get(name)
	}}, r.Body}
	return nil
}

type plain struct {
	io.Reader
	io.Closer
}

func withoutChunks(encoding string) string {
	var rest []string
	for name := range strings.SplitSeq(encoding, ",") {
		if name = strings.TrimSpace(name); name != "" && name != "aws-chunked" {
			rest = append(rest, name)
		}
	}
	return strings.Join(rest, ",")
}

// crc64NVME is the polynomial of S3's CRC64NVME, reversed.
const crc64NVME = 0x9a6c9329ac4bc9b5

// checksum finds the checksum that a request promises, before or behind its body.
func checksum(header http.Header) (string, hash.Hash) {
	for name, make := range map[string]func() hash.Hash{
		"X-Amz-Checksum-Crc32":     func() hash.Hash { return crc32.NewIEEE() },
		"X-Amz-Checksum-Crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
		"X-Amz-Checksum-Crc64nvme": func() hash.Hash { return crc64.New(crc64.MakeTable(crc64NVME)) },
		"X-Amz-Checksum-Sha1":      sha1.New,
		"X-Amz-Checksum-Sha256":    sha256.New,
	} {
		if header.Get(name) != "" || strings.EqualFold(header.Get("X-Amz-Trailer"), name) {
			return name, make()
		}
	}
	return "", nil
}

// verified hands a stream through and holds its checksum against the one wanted.
type verified struct {
	in   io.Reader
	sum  hash.Hash
	want func() string // known only at the end
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.in.Read(p)
	_, _ = v.sum.Write(p[:n]) // a hash takes everything
	if err != io.EOF {
		return n, err
	}
	if got := base64.StdEncoding.EncodeToString(v.sum.Sum(nil)); got != v.want() {
		return n, gofakes3.ErrorMessagef(gofakes3.ErrBadDigest, "The checksum %q did not match the calculated checksum %q.", v.want(), got)
	}
	return n, io.EOF
}

// chunked reads aws-chunked: <size in hex>[;chunk-signature=…]CRLF <data> CRLF …
// and after the chunk of size 0 trailing headers. Signatures are not verified.
type chunked struct {
	in      *bufio.Reader
	left    int64
	began   bool
	ended   bool
	trailer textproto.MIMEHeader
}

func (c *chunked) Read(p []byte) (int, error) {
	if c.ended {
		return 0, io.EOF
	}
	if c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
		if c.ended {
			return 0, io.EOF
		}
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.in.Read(p)
	c.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// next reads the head of a chunk, and the trailer after the last one.
func (c *chunked) next() error {
	if c.began {
		if _, err := c.in.Discard(len("\r\n")); err != nil {
			return io.ErrUnexpectedEOF
		}
	}
	c.began = true
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	digits, _, _ := strings.Cut(strings.TrimSpace(string(line)), ";")
	if c.left, err = strconv.ParseInt(digits, 16, 64); err != nil || c.left < 0 {
		return fmt.Errorf("chunk of size %q: %w", digits, io.ErrUnexpectedEOF)
	}
	if c.left > 0 {
		return nil
	}
	c.ended = true
	c.trailer, err = textproto.NewReader(c.in).ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) && len(c.trailer) == 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}
