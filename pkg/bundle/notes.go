package bundle

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/renameio/v2"
)

// notesFile lies beside a layout's index.json. It says where the layers are
// that the layout does not hold, and how each layer came about. Readers of
// OCI layouts pass it over.
const notesFile = "towline.json"

// notes are what a layout says of its layers beyond the image.
type notes struct {
	Layers []note `json:"layers"`
}

// note is about one layer.
type note struct {
	Digest   v1.Hash       `json:"digest"`
	Size     int64         `json:"size"`
	Platform string        `json:"platform"`
	About    string        `json:"about"`
	How      string        `json:"how"`
	Why      string        `json:"why"`
	Registry string        `json:"registry,omitempty"` // repository that has the layer, if the layout does not
	Image    string        `json:"image,omitempty"`    // image there that it was taken from
	Weights  []weightsFile `json:"weights,omitempty"`  // files that the layer is made from whenever it is wanted
}

// weightsFile is one file of a layer that is not copied.
type weightsFile struct {
	Path   string      `json:"path"` // in the image, relative to /opt/program
	Mode   fs.FileMode `json:"mode"`
	Size   int64       `json:"size"`
	Source string      `json:"source"` // relative to the layout's folder, slash-separated
}

// noteLayers tells of all layers of the images.
func noteLayers(final string, images []built) (notes, error) {
	var n notes
	for _, image := range images {
		platform := image.root.Platform.String()
		for _, d := range image.from.layers {
			n.Layers = append(n.Layers, note{
				Digest: d.Digest, Size: d.Size, Platform: platform, About: "base", How: howBase,
				Why: "of " + image.from.pinned + ", not downloaded",
			})
		}
		for _, layer := range image.layers {
			files, err := weightsFiles(final, layer.weights)
			if err != nil {
				return notes{}, err
			}
			n.Layers = append(n.Layers, note{
				Digest: layer.Digest, Size: layer.Size, Platform: platform, About: layer.About, How: layer.how, Why: layer.why,
				Registry: layer.registry, Image: layer.image, Weights: files,
			})
		}
	}
	return n, nil
}

func weightsFiles(final string, files []File) ([]weightsFile, error) {
	if len(files) > 0 {
		real, err := filepath.EvalSymlinks(filepath.Dir(final))
		if err != nil {
			return nil, err
		}
		final = filepath.Join(real, filepath.Base(final))
	}
	var list []weightsFile
	for _, file := range files {
		source, err := filepath.Rel(final, file.onDisk)
		if err != nil {
			return nil, err
		}
		list = append(list, weightsFile{Path: file.Path, Mode: file.Mode, Size: file.Size, Source: filepath.ToSlash(source)})
	}
	return list, nil
}

func (n notes) text() ([]byte, error) {
	text, err := json.MarshalIndent(n, "", "  ")
	return append(text, '\n'), err
}

// write puts the notes in the place of those that a layout has.
func (n notes) write(folder string) error {
	text, err := n.text()
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(folder, notesFile), text, 0o644)
}

// readNotes reads them; a layout of somebody else has none.
func readNotes(folder string) notes {
	var n notes
	text, err := os.ReadFile(filepath.Join(folder, notesFile))
	if err != nil || json.Unmarshal(text, &n) != nil {
		return notes{}
	}
	return n
}

// of finds what is noted of a layer.
func (n notes) of(digest v1.Hash) (note, bool) {
	for _, layer := range n.Layers {
		if layer.Digest == digest {
			return layer, true
		}
	}
	return note{}, false
}

// files are the sources of a layer of weights, on this disk; not ok if one of
// them is not what it was.
func (n note) files(folder string) (files []File, ok bool) {
	if real, err := filepath.EvalSymlinks(folder); err == nil {
		folder = real
	}
	for _, w := range n.Weights {
		source := filepath.Join(folder, filepath.FromSlash(w.Source))
		if !sized(source, w.Size) {
			return nil, false
		}
		files = append(files, File{Path: w.Path, Mode: w.Mode, Size: w.Size, onDisk: source})
	}
	return files, len(files) > 0
}
