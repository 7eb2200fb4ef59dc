package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ociLayoutFile is the marker of an OCI layout.
const ociLayoutFile = `{"imageLayoutVersion":"1.0.0"}`

// refName is the annotation that names an image in a layout.
const refName = "org.opencontainers.image.ref.name"

// newLayout is an OCI layout that is being written: a folder beside the one
// that it will replace. Nobody reads it before it is whole, so its files are
// written in place, and none waits for the disk: what a power cut leaves of it
// is packaged again.
type newLayout struct{ folder string }

func createLayout(final string) (*newLayout, error) {
	parent, name := filepath.Dir(final), filepath.Base(final)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, err
	}
	sweep(filepath.Join(parent, "."+name+"-*"))
	folder, err := os.MkdirTemp(parent, "."+name+"-new-*")
	if err != nil {
		return nil, err
	}
	l := &newLayout{folder: folder}
	if err := errors.Join(os.Chmod(folder, 0o755), os.MkdirAll(l.blobs(), 0o755)); err != nil {
		l.discard()
		return nil, err
	}
	return l, nil
}

func (l *newLayout) blobs() string { return filepath.Join(l.folder, "blobs", "sha256") }

func (l *newLayout) discard() { _ = os.RemoveAll(l.folder) }

// adopt brings in a file from outside: by a hard link, or by a copy where none is possible.
func (l *newLayout) adopt(file string, digest v1.Hash) error {
	to := filepath.Join(l.blobs(), digest.Hex)
	err := os.Link(file, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return copyFile(to, file)
}

// document writes a JSON document and describes it.
func (l *newLayout) document(mediaType types.MediaType, content []byte) (v1.Descriptor, error) {
	sum := sha256.Sum256(content)
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
	err := os.WriteFile(filepath.Join(l.blobs(), digest.Hex), content, 0o644)
	return v1.Descriptor{MediaType: mediaType, Size: int64(len(content)), Digest: digest}, err
}

// finish writes the index and the notes, and puts the layout in the place of
// the former one.
func (l *newLayout) finish(final string, root v1.Descriptor, images []built) error {
	noted, err := noteLayers(final, images)
	if err != nil {
		return err
	}
	text, err := noted.text()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(l.folder, notesFile), text, 0o644); err != nil {
		return err
	}
	return l.close(final, root)
}

// close writes the index and puts the layout in its place.
func (l *newLayout) close(final string, root v1.Descriptor) error {
	index, err := json.Marshal(layoutIndex(root))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(l.folder, "oci-layout"), []byte(ociLayoutFile), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(l.folder, "index.json"), index, 0o644); err != nil {
		return err
	}
	return replaceFolder(final, l.folder)
}

// layoutIndex is a layout's index.json.
func layoutIndex(root v1.Descriptor) v1.IndexManifest {
	return v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{root}}
}

// replaceFolder moves a folder to a place that may be taken. What was there
// comes back if the move does not succeed.
func replaceFolder(final, with string) error {
	former := with + "-former"
	err := os.Rename(final, former)
	if errors.Is(err, fs.ErrNotExist) {
		return os.Rename(with, final)
	}
	if err != nil {
		return err
	}
	if err := os.Rename(with, final); err != nil {
		return errors.Join(err, os.Rename(former, final))
	}
	_ = os.RemoveAll(former) // what is left of it is swept a day later
	return nil
}

// layout is an OCI layout with one image, or one index.
type layout struct {
	folder string
	root   v1.Descriptor
}

func openLayout(folder string) (*layout, error) {
	text, err := os.ReadFile(filepath.Join(folder, "index.json"))
	if err != nil {
		return nil, err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	if len(index.Manifests) != 1 {
		return nil, fmt.Errorf("index.json names %d images, wanted one", len(index.Manifests))
	}
	return &layout{folder: folder, root: index.Manifests[0]}, nil
}

// read reads a document and checks it against its digest.
func (l *layout) read(d v1.Descriptor) ([]byte, error) {
	if d.Size > maxDocument || d.Digest.Algorithm != "sha256" {
		return nil, fmt.Errorf("blob %s: %d bytes, wanted a document", d.Digest, d.Size)
	}
	text, err := os.ReadFile(layoutBlob(l.folder, d.Digest))
	if err != nil {
		return nil, err
	}
	if found, _, _ := v1.SHA256(bytes.NewReader(text)); found != d.Digest {
		return nil, fmt.Errorf("blob %s: its content is %s", d.Digest, found)
	}
	return text, nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
