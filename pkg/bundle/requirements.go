package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
	pip "gitlab.com/towline/towline/pkg/requirements"
)

// requirements is what a requirements file says.
type requirements struct {
	count    int    // lines that are not comments
	hash     string // of its content and of the local files it names
	editable string // a folder that is to be installed as it lies, or ""

	sum  hash.Hash
	seen map[string]bool
}

// readRequirements reads the file, and the files it names with -r, -c,
// --find-links or as a path, because they too decide what is installed.
func readRequirements(file, name string) (*requirements, error) {
	r := &requirements{sum: sha256.New(), seen: map[string]bool{}}
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Newf(fault.Repository, "read requirements: no file %s", name).
			Hintf("add the file, or correct image.requirements in towline.yaml")
	}
	if err == nil && info.Size() == 0 {
		return nil, fault.Newf(fault.Repository, "read requirements: %s is empty", name).
			Hintf("write the requirements into it, or remove image.requirements from towline.yaml")
	}
	if err == nil {
		err = r.read(file)
	}
	if err != nil {
		return nil, diskFault("read "+name, err)
	}
	r.hash = hex.EncodeToString(r.sum.Sum(nil))
	return r, nil
}

func (r *requirements) read(file string) error {
	if r.seen[file] {
		return nil
	}
	r.seen[file] = true
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(r.sum, "file %d\n%s\n", len(text), text)
	for _, line := range pip.Lines(text) {
		if err := r.line(filepath.Dir(file), line); err != nil {
			return err
		}
	}
	return nil
}

func (r *requirements) line(folder string, line pip.Line) error {
	value := line.Value
	switch line.Option {
	case "-r", "--requirement", "-c", "--constraint":
		if strings.Contains(value, "://") && !strings.HasPrefix(value, "file://") {
			r.count++ // nothing is known of it but its address, which is hashed with this file
			return nil
		}
		return r.read(local(folder, value))
	case "-f", "--find-links":
		return r.wheels(local(folder, value))
	case "-e", "--editable":
		r.count++
		r.editable = value
	case "":
		r.count++
		return r.wheels(local(folder, value))
	}
	return nil
}

func local(folder, name string) string {
	name = filepath.FromSlash(strings.TrimPrefix(name, "file://"))
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(folder, name)
}

// wheels takes in a wheel, or those of a folder; anything else that is not on
// this disk is the index's to answer for.
func (r *requirements) wheels(name string) error {
	var files []File
	for _, file := range wheelFiles(name) {
		files = append(files, File{Path: filepath.Base(file), onDisk: file})
	}
	sums, err := digests(files)
	for i, sum := range sums {
		_, _ = fmt.Fprintf(r.sum, "wheel %s %s\n", files[i].Path, sum)
	}
	return err
}

func wheelFiles(name string) []string {
	info, err := os.Stat(name)
	if err != nil {
		return nil
	}
	if !info.IsDir() {
		return []string{name}
	}
	list, err := os.ReadDir(name)
	if err != nil {
		return nil
	}
	var files []string
	for _, item := range list {
		if filepath.Ext(item.Name()) == ".whl" {
			files = append(files, filepath.Join(name, item.Name()))
		}
	}
	return files
}
