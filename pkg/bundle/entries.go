package bundle

import (
	"bytes"
	"embed"
	"encoding/json"
	"io"
	"io/fs"

	"gitlab.com/towline/towline/pkg/plan"
)

// The entries are Python programs of the standard library alone: train.py and serve.py.
//
//go:embed entries/train.py entries/serve.py
var entrySources embed.FS

// entryFile is what the entries read to know what to run.
type entryFile struct {
	Project string   `json:"project,omitempty"`
	Model   string   `json:"model"`
	Python  string   `json:"python"`
	Train   []string `json:"train"`
	Serve   []string `json:"serve,omitempty"`
}

// entryItems are /opt/towline/bin/train, serve if the model is served, and entry.json.
func entryItems(a plan.Package) ([]item, error) {
	train, err := entryProgram("train", a.Python)
	if err != nil {
		return nil, err
	}
	items := []item{train}
	if len(a.Serve) > 0 {
		serve, err := entryProgram("serve", a.Python)
		if err != nil {
			return nil, err
		}
		items = []item{serve, train}
	}
	about, err := json.Marshal(entryFile{Project: a.Project, Model: a.Model, Python: a.Python, Train: a.Train, Serve: a.Serve})
	if err != nil {
		return nil, err
	}
	return append(items, bytesItem("opt/towline/entry.json", 0o644, append(about, '\n'))), nil
}

// entryProgram puts the line that finds the interpreter above the program.
func entryProgram(name, python string) (item, error) {
	source, err := entrySources.ReadFile("entries/" + name + ".py")
	if err != nil {
		return item{}, err
	}
	program := append([]byte("#!/usr/bin/env python"+python+"\n"), source...)
	return bytesItem("opt/towline/bin/"+name, 0o755, program), nil
}

func bytesItem(name string, mode fs.FileMode, content []byte) item {
	return item{path: name, mode: mode, size: int64(len(content)), open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}}
}

// programItems are the code files below /opt/program.
func programItems(files []File) []item {
	items := make([]item, len(files))
	for i, file := range files {
		items[i] = diskItem("opt/program/"+file.Path, file.Mode, file.Size, file.onDisk)
	}
	return items
}
