//go:build linux

package main

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
)

// generate writes an archive of about that many bytes, packed: a third of it
// weights that do not compress, a third tables, a third small files.
func generate(path string, size int64) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	buffered := bufio.NewWriterSize(file, 1<<20)
	count := &counter{w: buffered}
	out := zip.NewWriter(count)
	out.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	random := rand.New(rand.NewChaCha8([32]byte{1})) //nolint:gosec // the same archive every time
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	for i := 0; count.n < size; i++ {
		kind := []func(io.Writer) error{
			func(w io.Writer) error { return weights(w, noise, random) },
			func(w io.Writer) error { return table(w, random) },
		}
		name := []string{"model/weights-%d.bin", "data/table-%d.csv"}
		for k := range kind {
			if err := add(out, fmt.Sprintf(name[k], i), kind[k]); err != nil {
				return err
			}
		}
		for j := range 400 {
			err := add(out, fmt.Sprintf("source/package-%d/module_%d.txt", i, j), func(w io.Writer) error { return small(w, noise, random) })
			if err != nil {
				return err
			}
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

func add(out *zip.Writer, name string, write func(io.Writer) error) error {
	w, err := out.Create(name)
	if err != nil {
		return err
	}
	return write(w)
}

func weights(w io.Writer, noise []byte, random *rand.Rand) error {
	for range 24 {
		at := random.IntN(len(noise))
		if _, err := w.Write(noise[at:]); err != nil {
			return err
		}
		if _, err := w.Write(noise[:at]); err != nil {
			return err
		}
	}
	return nil
}

func table(w io.Writer, random *rand.Rand) error {
	buffered := bufio.NewWriter(w)
	for i := range 1_000_000 {
		if _, err := fmt.Fprintf(buffered, "%d,%.4f,%.4f,class-%d\n", i, random.Float64(), random.NormFloat64(), random.IntN(5)); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

func small(w io.Writer, noise []byte, random *rand.Rand) error {
	at := random.IntN(len(noise) - 64<<10)
	for range 1 + random.IntN(40) {
		if _, err := fmt.Fprintf(w, "def function_%d(value):\n    return value * %d\n%x\n", random.IntN(100), random.IntN(1000), noise[at:at+500]); err != nil {
			return err
		}
	}
	_, err := w.Write(noise[at : at+20<<10])
	return err
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
