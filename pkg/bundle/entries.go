package bundle

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// The entries are Python programs of the standard library alone. evaluate.py
// stands on train.py, which is in every image.
//
//go:embed entries/train.py entries/serve.py entries/evaluate.py
var entrySources embed.FS

// entryFile is what the entries read to know what to run.
type entryFile struct {
	Project string   `json:"project,omitempty"`
	Model   string   `json:"model"`
	Python  string   `json:"python"`
	Train   []string `json:"train"`
	Serve   []string `json:"serve,omitempty"`

	Evaluate []string `json:"evaluate,omitempty"`
}

// homeFolder is the home of the image's user, who has no entry in /etc/passwd.
const homeFolder = "opt/towline/home"

// home is the one folder that belongs to the image's user. Group 0 may write to
// it too, which is the group of whoever a cluster runs the image as.
func home(user string) (item, error) {
	uid, gid := 0, 0
	if _, err := fmt.Sscanf(user+":0", "%d:%d", &uid, &gid); err != nil {
		return item{}, fault.Newf(fault.Repository, "package for user %q: wanted uid or uid:gid", user).Hintf("correct image.user in towline.yaml")
	}
	return item{path: homeFolder, mode: 0o770, uid: uid, gid: gid}, nil
}

// entryItems are the programs of /opt/towline/bin that this image has, and entry.json.
func entryItems(a plan.Package) ([]item, error) {
	var items []item
	for _, name := range entryNames(a) {
		program, err := entryProgram(name, a.Python)
		if err != nil {
			return nil, err
		}
		items = append(items, program)
	}
	about, err := json.Marshal(entryFile{
		Project: a.Project, Model: a.Model, Python: a.Python, Train: a.Train, Serve: a.Serve, Evaluate: a.Evaluate,
	})
	if err != nil {
		return nil, err
	}
	return append(items, bytesItem("opt/towline/entry.json", 0o644, append(about, '\n'))), nil
}

// entryNames are those of the model's commands, in the order in which they lie
// in the layer.
func entryNames(a plan.Package) []string {
	names := []string{"train"}
	if len(a.Serve) > 0 {
		names = []string{"serve", "train"}
	}
	if len(a.Evaluate) > 0 {
		names = append([]string{"evaluate"}, names...)
	}
	return names
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
