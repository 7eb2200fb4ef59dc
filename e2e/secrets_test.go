package e2e_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// secretTexts are what nobody but its owner may see, with what each is.
type secretTexts struct {
	mu  sync.Mutex
	all map[string]string // text → what it is
}

// shortestSecret is the length below which a text could stand anywhere by chance.
const shortestSecret = 12

func (s *secretTexts) add(what, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(text) < shortestSecret {
		panic(what + " is too short to be looked for")
	}
	if s.all == nil {
		s.all = map[string]string{}
	}
	s.all[text] = what
}

// in names the secrets that a text holds.
func (s *secretTexts) in(text []byte) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []string
	for secret, what := range s.all {
		if bytes.Contains(text, []byte(secret)) {
			found = append(found, what)
		}
	}
	slices.Sort(found)
	return found
}

// inFolder names every file below a folder that holds a secret, packed files
// included, except for those that skip says are somebody's who may know it.
func (s *secretTexts) inFolder(folder string, skip func(path string) bool) (found []string, looked int, err error) {
	seen := map[[sha256.Size]byte]bool{} // copies are many, and layers are large
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if skip(filepath.ToSlash(rel)) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		looked++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(text)
		if seen[sum] {
			return nil
		}
		seen[sum] = true
		texts, err := layersOf(text)
		if err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		for _, text := range texts {
			for _, what := range s.in(text) {
				found = append(found, rel+" holds the "+what)
			}
		}
		return nil
	})
	slices.Sort(found)
	return slices.Compact(found), looked, err
}

// layersOf are the bytes of a file, and what they are the packed form of.
func layersOf(text []byte) ([][]byte, error) {
	texts := [][]byte{text}
	switch {
	case bytes.HasPrefix(text, []byte("\x1f\x8b")):
		unpacked, err := gzip.NewReader(bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		inner, err := io.ReadAll(unpacked)
		return append(texts, inner), err
	case bytes.HasPrefix(text, []byte("PK\x03\x04")):
		entries, err := unzipped(text)
		return append(texts, entries...), err
	}
	return texts, nil
}

func unzipped(text []byte) ([][]byte, error) {
	archive, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, entry := range archive.File {
		reader, err := entry.Open()
		if err != nil {
			return nil, err
		}
		inner, err := io.ReadAll(reader)
		if err != nil {
			return nil, err
		}
		all = append(all, inner)
	}
	return all, nil
}
