package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"

	"gopkg.in/yaml.v3"

	"gitlab.com/towline/towline/pkg/fault"
)

// MaxSize is how many bytes a manifest may have.
const MaxSize = 1 << 20

// Load reads a manifest strictly and fills in every default. Its error is a
// fault.Repository whose details are all the problems found, one a line, as
// towline.yaml:12:3: message, in the order of the file.
func Load(data []byte) (Manifest, error) {
	root, problem := parse(data)
	if problem != nil {
		return Manifest{}, faulty([]Problem{*problem})
	}
	r := newReader()
	var m Manifest
	r.read(root, reflect.ValueOf(&m).Elem(), place{})
	m.where = r.where
	problems := append(r.problems, check(m)...)
	if len(problems) > 0 {
		return Manifest{}, faulty(problems)
	}
	return m, nil
}

// Read loads the manifest that lies at the top of a folder.
func Read(repo fs.FS) (Manifest, error) {
	if info, err := fs.Stat(repo, File); err == nil && !info.Mode().IsRegular() {
		return Manifest{}, fault.Newf(fault.Repository, "read %s: it is no file", File).Hintf("make %s a file that can be read", File)
	}
	file, err := repo.Open(File)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fault.Newf(fault.Missing, "read %s: there is none in this folder", File).
			Hintf("write one with: towline init --bare, or name the model repository with -C DIR")
	}
	if err != nil {
		return Manifest{}, fault.Newf(fault.Repository, "read %s: %w", File, err)
	}
	data, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return Manifest{}, fault.Newf(fault.Repository, "read %s: %w", File, err).
			Hintf("make %s a file that can be read", File)
	}
	return Load(data)
}

// parse turns the bytes into the one YAML document that they must hold.
func parse(data []byte) (*yaml.Node, *Problem) {
	if len(data) > MaxSize {
		return nil, &Problem{Message: fmt.Sprintf("the file has more than %d bytes, which is the most a manifest may have", MaxSize)}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) || err == nil && isNothing(&document) {
		return nil, &Problem{Position: Position{1, 1}, Message: "the file says nothing: it must give apiVersion, project and models"}
	}
	if err != nil {
		return nil, syntaxProblem(data, err)
	}
	switch err = decoder.Decode(&more); {
	case errors.Is(err, io.EOF):
		return document.Content[0], nil
	case err != nil:
		return nil, syntaxProblem(data, err)
	}
	return nil, &Problem{Position: Position{more.Line, more.Column}, Message: "a second YAML document begins here: a manifest is a single one"}
}

func isNothing(document *yaml.Node) bool {
	return len(document.Content) == 0 || document.Content[0].ShortTag() == nullTag
}
