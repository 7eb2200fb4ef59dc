package sagemaker

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// when says which folders become an archive.
type when int

const (
	always     when = iota
	whenFilled      // not if there is nothing in it
)

// pack streams a folder into S3 as a tar.gz. The archive is there as a whole
// or not at all.
func (s *Service) pack(ctx context.Context, from folder, bucket, key string, w when) error {
	root, err := from.open()
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // it was only read
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil || w == whenFilled && len(entries) == 0 {
		return err
	}
	reader, writer := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_ = writer.CloseWithError(writeArchive(ctx, root, writer)) // it always gives nil
	}()
	err = errors.Join(s.o.Objects.Put(bucket, key, reader), reader.Close())
	<-written
	return err
}

// folder is one that a program was given, and may have put anything in the
// place of: it is never looked for outside of the program's own files.
type folder struct{ top, sub string }

func (f folder) open() (*os.Root, error) {
	top, err := os.OpenRoot(f.top)
	if err != nil {
		return nil, err
	}
	defer func() { _ = top.Close() }()                 // a folder
	if err := top.MkdirAll(f.sub, 0o755); err != nil { // it may have been removed
		return nil, err
	}
	return top.OpenRoot(f.sub)
}

func writeArchive(ctx context.Context, root *os.Root, w io.Writer) error {
	zipped := gzip.NewWriter(w)
	archive := tar.NewWriter(zipped)
	err := fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		return addToArchive(archive, root, name, entry)
	})
	return errors.Join(err, archive.Close(), zipped.Close())
}

// addToArchive adds a file, a folder or a link. Sockets and the like are left out.
func addToArchive(archive *tar.Writer, root *os.Root, name string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	link := ""
	switch {
	case entry.Type()&fs.ModeSymlink != 0:
		if link, err = root.Readlink(name); err != nil {
			return err
		}
	case !entry.IsDir() && !entry.Type().IsRegular():
		return nil
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name = name
	if entry.IsDir() {
		header.Name += "/"
	}
	header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if !entry.Type().IsRegular() {
		return nil
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	_, err = io.Copy(archive, f)
	return err
}

// The limits of an archive that is unpacked.
const (
	maxEntries  = 200_000
	maxUnpacked = 64 << 30 // bytes
)

// unpack writes an archive below a folder, and nowhere else.
func unpack(ctx context.Context, archive io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // a folder
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return clientError{"the model data is not a tar.gz archive: " + err.Error()}
	}
	in := tar.NewReader(unzipped)
	left := int64(maxUnpacked)
	for n := 0; ; n++ {
		header, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return clientError{"the model data is damaged: " + err.Error()}
		}
		if left -= header.Size; n >= maxEntries || left < 0 {
			return clientError{fmt.Sprintf("the model data has more than %d entries or %d GiB", maxEntries, maxUnpacked>>30)}
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := unpackEntry(root, header, in); err != nil {
			return fmt.Errorf("unpack %s: %w", header.Name, err)
		}
	}
}

func unpackEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	name := path.Clean(strings.TrimLeft(header.Name, "/"))
	if name == "." {
		return nil
	}
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return clientError{"the model data has an entry outside of its folder: " + header.Name}
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, header.FileInfo().Mode().Perm()|0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close())
	case tar.TypeSymlink:
		if !filepath.IsLocal(path.Join(path.Dir(name), header.Linkname)) || path.IsAbs(header.Linkname) {
			return clientError{"the model data has a link outside of its folder: " + header.Name}
		}
		return root.Symlink(header.Linkname, name)
	case tar.TypeLink:
		return root.Link(path.Clean(header.Linkname), name)
	}
	return nil // devices and the like are nothing a model needs
}
