package bundle

import (
	"archive/tar"
	"bytes"
	stdgzip "compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// mixed is 5 MB: text, random bytes, text again, and a rest.
func mixed() []byte {
	random := make([]byte, 2<<20)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(random)
	text := strings.Repeat("a line of text that compresses well, number 17\n", 30_000)
	return []byte(text + string(random) + text + "the rest")
}

func packed(t *testing.T, plain []byte, pieces int) []byte {
	t.Helper()
	var out bytes.Buffer
	p := newPacker(&out)
	for len(plain) > 0 {
		n := min(pieces, len(plain))
		if _, err := p.Write(plain[:n]); err != nil {
			t.Fatal(err)
		}
		plain = plain[n:]
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// The digests of layers rest on these bytes: a change of them needs a new
// compressor constant, and a new LayoutVersion.
func TestPackedBytesStayTheSame(t *testing.T) {
	const want = "3f4a4c4c537528d978c4089ca1c09f4d1340993d5c09b77a4767caceec7cb563"
	for _, processors := range []int{1, 2, 7} {
		for _, pieces := range []int{4096, 1_000_003} {
			before := runtime.GOMAXPROCS(processors)
			sum := sha256.Sum256(packed(t, mixed(), pieces))
			runtime.GOMAXPROCS(before)
			if got := hex.EncodeToString(sum[:]); got != want {
				t.Errorf("with %d processors and writes of %d bytes: sha256 %s, want %s", processors, pieces, got, want)
			}
		}
	}
}

func TestPackedBytesAreOneGzipMember(t *testing.T) {
	for _, plain := range [][]byte{nil, []byte("x"), mixed()[:chunkSize], mixed()} {
		reader, err := stdgzip.NewReader(bytes.NewReader(packed(t, plain, 1<<20)))
		if err != nil {
			t.Fatal(err)
		}
		reader.Multistream(false)
		got, err := io.ReadAll(reader)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes came back as %d, %v", len(plain), len(got), err)
		}
	}
}

func TestWhatDoesNotShrinkIsStored(t *testing.T) {
	plain := mixed()
	if n := len(packed(t, plain, 1<<20)); n < 1<<20 || n > 3<<20 {
		t.Errorf("%d bytes of which 2 MiB are random are packed into %d", len(plain), n)
	}
	random := plain[1_500_000 : 1_500_000+chunkSize]
	if shrinks(random) || !shrinks(plain[:chunkSize]) {
		t.Errorf("shrinks() = %t of random bytes, %t of text", shrinks(random), shrinks(plain[:chunkSize]))
	}
}

// The headers between files do not make a chunk look as if it shrank.
func TestFilesThatDoNotShrinkAreStored(t *testing.T) {
	random := rand.NewChaCha8([32]byte{9})
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	content := make([]byte, 100_000)
	for i := range 60 {
		_, _ = random.Read(content)
		head := tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("opt/towline/lib/some/data%d.bin", i), Mode: 0o644, Size: int64(len(content))}
		if err := w.WriteHeader(&head); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	for chunk := range slices.Chunk(archive.Bytes(), chunkSize) {
		if shrinks(chunk) {
			t.Error("a chunk of random files looks as if it shrank")
		}
	}
}

type broken struct{ left int }

var errBroken = errors.New("broken")

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestAPackerTellsOfAFailedWrite(t *testing.T) {
	for _, room := range []int{0, 100, 1 << 20} {
		p := newPacker(&broken{left: room})
		if _, err := p.Write(mixed()); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); !errors.Is(err, errBroken) {
			t.Errorf("Close() after room for %d bytes = %v, want %v", room, err, errBroken)
		}
	}
}
