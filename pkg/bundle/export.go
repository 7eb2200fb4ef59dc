package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// Export writes the layout's image to disk with every blob in it, those of the
// base and of the weights too: as an OCI layout, or as an archive that holds
// one and is also what `docker load` reads. It yields digest.
func (b *Bundler) Export(ctx context.Context, a plan.Export) (plan.Receipt, error) {
	p, sent, err := b.openParcel(ctx, a.Layout)
	if err != nil {
		return plan.Receipt{}, err
	}
	write := p.toFolder
	if a.Archive {
		write = p.toArchive
	}
	if err := write(a); err != nil {
		return plan.Receipt{}, ended(ctx, "write "+a.To, diskFault("write "+a.To, err))
	}
	return plan.Receipt{
		Yields: map[string]string{"digest": p.root.Digest.String()},
		Said:   fmt.Sprintf("%s, %s", p.root.Digest, megabytes(sum(sent.sizes))),
	}, nil
}

// toFolder writes an OCI layout in the place of what is there, which must be
// one too, or nothing.
func (p *parcel) toFolder(a plan.Export) error {
	if err := replaceable(a.To); err != nil {
		return err
	}
	out, err := createLayout(a.To)
	if err != nil {
		return err
	}
	defer out.discard()
	err = p.blobs(func(d v1.Descriptor, content io.Reader) error {
		file, err := os.OpenFile(filepath.Join(out.blobs(), d.Digest.Hex), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Close())
	})
	if err != nil {
		return err
	}
	return out.close(a.To, p.named(a.Tag))
}

func replaceable(folder string) error {
	list, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(list) == 0 {
		return nil
	}
	if err == nil {
		_, err = os.Stat(filepath.Join(folder, "oci-layout"))
	}
	if err != nil {
		return fault.Newf(fault.Conflict, "write %s: found something that is no OCI layout", folder).
			Hintf("name a folder that is not there yet")
	}
	return nil
}

// named is the root, under the tag.
func (p *parcel) named(tag string) v1.Descriptor {
	root := p.root
	if tag != "" {
		root.Annotations = map[string]string{refName: tag}
	}
	return root
}

// toArchive writes the archive beside its place first.
func (p *parcel) toArchive(a plan.Export) error {
	if err := os.MkdirAll(filepath.Dir(a.To), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(a.To), "."+filepath.Base(a.To)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	defer func() { _ = file.Close() }()
	if err := p.archive(file, a.Tag); err != nil {
		return err
	}
	if err := errors.Join(file.Chmod(0o644), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), a.To)
}

func (p *parcel) archive(to io.Writer, tag string) error {
	out := tar.NewWriter(to)
	put := func(name string, size int64, content io.Reader) error {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: layerTime}
		if err := out.WriteHeader(header); err != nil {
			return err
		}
		_, err := io.Copy(out, content)
		return err
	}
	if err := put("oci-layout", int64(len(ociLayoutFile)), bytes.NewReader([]byte(ociLayoutFile))); err != nil {
		return err
	}
	index, err := json.Marshal(layoutIndex(p.named(tag)))
	if err != nil {
		return err
	}
	if err := put("index.json", int64(len(index)), bytes.NewReader(index)); err != nil {
		return err
	}
	loaded, err := json.Marshal(p.loadable(tag))
	if err != nil {
		return err
	}
	if err := put("manifest.json", int64(len(loaded)), bytes.NewReader(loaded)); err != nil {
		return err
	}
	err = p.blobs(func(d v1.Descriptor, content io.Reader) error {
		return put("blobs/sha256/"+d.Digest.Hex, d.Size, content)
	})
	if err != nil {
		return err
	}
	return out.Close()
}

// loadable is what `docker load` reads: images by the names of their files.
func (p *parcel) loadable(tag string) []map[string]any {
	var list []map[string]any
	for _, img := range p.images {
		layers := []string{}
		for _, d := range img.manifest.Layers {
			layers = append(layers, "blobs/sha256/"+d.Digest.Hex)
		}
		entry := map[string]any{"Config": "blobs/sha256/" + img.manifest.Config.Digest.Hex, "Layers": layers}
		if model := p.root.Annotations[refName]; tag != "" && model != "" && len(p.images) == 1 {
			entry["RepoTags"] = []string{model + ":" + tag}
		}
		list = append(list, entry)
	}
	return list
}

// blobs gives every blob once: documents first. A blob that is not what its
// digest says is an error.
func (p *parcel) blobs(put func(v1.Descriptor, io.Reader) error) error {
	done := map[v1.Hash]bool{}
	once := func(d v1.Descriptor, open func() (io.ReadCloser, error)) error {
		if done[d.Digest] {
			return nil
		}
		done[d.Digest] = true
		return checked(d, open, put)
	}
	document := func(d v1.Descriptor, text []byte) error {
		return once(d, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil })
	}
	if p.raw != nil {
		if err := document(p.root, p.raw); err != nil {
			return err
		}
	}
	for _, img := range p.images {
		if err := errors.Join(document(img.desc, img.rawManifest), document(img.manifest.Config, img.rawConfig)); err != nil {
			return err
		}
		for i, d := range img.manifest.Layers {
			if err := once(d, img.layers[i].Compressed); err != nil {
				return err
			}
		}
	}
	return nil
}

func checked(d v1.Descriptor, open func() (io.ReadCloser, error), put func(v1.Descriptor, io.Reader) error) error {
	content, err := open()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	seen := &meter{sum: sha256.New()}
	if err := put(d, io.TeeReader(io.LimitReader(content, d.Size+1), seen)); err != nil {
		return err
	}
	if seen.digest() != d.Digest {
		return fault.Newf(fault.Conflict, "blob %s: found %s", d.Digest, seen.digest()).
			Hintf("a file was changed after it was packaged: run towline package again")
	}
	return nil
}
