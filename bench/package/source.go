//go:build linux

package main

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// source is a model repository, and what the peers are given of it.
type source struct {
	repository   string // with requirements.txt, for towline
	requirements string
	modules      bool   // whether the dependencies have modules to compile
	code         string // for the peers: the same code alone
	installed    string // for the peers: the dependencies, installed
}

const sources = 20

// newSource makes a repository with 20 source files and no dependencies.
func (b *bench) newSource(name string, seed uint64) (source, error) {
	s := source{repository: filepath.Join(b.dir, name, "repository"), code: filepath.Join(b.dir, name, "code"), installed: filepath.Join(b.dir, name, "installed")}
	random := rand.New(rand.NewPCG(seed, 1))
	for _, dir := range []string{s.repository, s.code, s.installed} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return s, err
		}
	}
	for i := range sources {
		if err := s.write(fmt.Sprintf("module%02d.py", i), words(random, 3000)); err != nil {
			return s, err
		}
	}
	return s, errors.Join(s.write("train.py", "print('train')\n"), s.write("serve.py", "print('serve')\n"))
}

// write writes a source file, for towline and for the peers.
func (s source) write(name, text string) error {
	return errors.Join(os.WriteFile(filepath.Join(s.repository, name), []byte(text), 0o644), os.WriteFile(filepath.Join(s.code, name), []byte(text), 0o644))
}

// edit changes one source file.
func (s source) edit(seed uint64) error {
	return s.write("module07.py", words(rand.New(rand.NewPCG(seed, 2)), 3000))
}

func words(random *rand.Rand, size int) string {
	var text strings.Builder
	for text.Len() < size {
		fmt.Fprintf(&text, "value_%04x = %d\n", random.Uint32()&0xffff, random.Int())
	}
	return text.String()
}

const (
	wheels       = 10
	filesInWheel = 50
	wheelFile    = 100_000 // bytes: 50 MB in all
)

// withRandom adds 50 MB of random dependencies, as wheels and installed.
func (s *source) withRandom(seed uint64) error {
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1})
	dir := filepath.Join(s.repository, "wheels")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	lines := []string{"--no-index", "--find-links wheels"}
	for i := range wheels {
		name := fmt.Sprintf("bulk%02d", i)
		if err := s.wheel(dir, name, random); err != nil {
			return err
		}
		lines = append(lines, name+"==1.0")
	}
	s.requirements = "requirements.txt"
	return errors.Join(
		os.WriteFile(filepath.Join(s.repository, ".towlineignore"), []byte("wheels\n"), 0o644),
		os.WriteFile(filepath.Join(s.repository, s.requirements), []byte(strings.Join(lines, "\n")+"\n"), 0o644),
	)
}

// wheel writes one distribution, packed for towline and installed for the peers.
func (s *source) wheel(dir, name string, random io.Reader) (err error) {
	f, err := os.Create(filepath.Join(dir, name+"-1.0-py3-none-any.whl"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	archive := zip.NewWriter(f)
	var list strings.Builder
	put := func(path string, content []byte) error {
		sum := sha256.Sum256(content)
		fmt.Fprintf(&list, "%s,sha256=%s,%d\n", path, base64.RawURLEncoding.EncodeToString(sum[:]), len(content))
		at := filepath.Join(s.installed, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, content, 0o644)); err != nil {
			return err
		}
		w, err := archive.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Store})
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	}
	content := make([]byte, wheelFile)
	for i := range filesInWheel {
		if _, err := io.ReadFull(random, content); err != nil {
			return err
		}
		if err := put(fmt.Sprintf("%s/data%02d.bin", name, i), content); err != nil {
			return err
		}
	}
	info := name + "-1.0.dist-info/"
	return errors.Join(
		put(info+"METADATA", []byte("Metadata-Version: 2.1\nName: "+name+"\nVersion: 1.0\n")),
		put(info+"WHEEL", []byte("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")),
		put(info+"RECORD", []byte(list.String()+info+"RECORD,,\n")),
		archive.Close(),
	)
}
