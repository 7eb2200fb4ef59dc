package archive

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// WriteTar writes the named files of a folder as a tar archive. Equal files
// give equal bytes: owners, times and the order of the names are left out.
// Links stay links. The comment is where git keeps the commit of an archive.
func WriteTar(w io.Writer, folder string, names []string, at time.Time, comment string) error {
	out := tar.NewWriter(w)
	if comment != "" {
		err := out.WriteHeader(&tar.Header{
			Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": comment},
		})
		if err != nil {
			return err
		}
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if err := addFile(out, folder, name, at); err != nil {
			return err
		}
	}
	return out.Close()
}

func addFile(out *tar.Writer, folder, name string, at time.Time) error {
	onDisk := filepath.Join(folder, filepath.FromSlash(name))
	info, err := os.Lstat(onDisk)
	if err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: 0o644, ModTime: at, Typeflag: tar.TypeReg, Size: info.Size()}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		header.Typeflag, header.Size, header.Mode = tar.TypeSymlink, 0, 0o777
		if header.Linkname, err = os.Readlink(onDisk); err != nil {
			return err
		}
		return out.WriteHeader(header)
	case !info.Mode().IsRegular():
		return wrong("%s is no file", name)
	case info.Mode()&0o100 != 0:
		header.Mode = 0o755
	}
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	file, err := os.Open(onDisk)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = io.CopyN(out, file, header.Size)
	return err
}

// Untar unpacks a tar archive into the folder. Links are kept if they lead to
// something within it.
func Untar(r io.Reader, into *Staging, limits Limits) ([]File, error) {
	u := &untar{into: into, limits: limits.settled(), names: newCensus(), in: tar.NewReader(r)}
	for {
		header, err := u.in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return nil, wrong("the archive is damaged, or ends early: %w", err)
		}
		if err := u.take(header); err != nil {
			return nil, err
		}
	}
	for _, link := range u.links {
		if err := u.link(link); err != nil {
			return nil, err
		}
	}
	return u.files, u.stay()
}

type untar struct {
	into   *Staging
	limits Limits
	names  *census
	in     *tar.Reader
	count  int
	size   int64
	files  []File
	links  []*tar.Header
}

func (u *untar) take(h *tar.Header) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if u.count++; u.count > u.limits.Files {
		return wrong("the archive has more than %d entries", u.limits.Files)
	}
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	dir := h.Typeflag == tar.TypeDir
	if name == "." && dir {
		return nil
	}
	if err := u.names.add(name, dir); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.into.mkdir(filepath.FromSlash(name))
	case tar.TypeReg:
		return u.file(h, name)
	case tar.TypeSymlink:
		target := path.Join(path.Dir(name), h.Linkname)
		if path.IsAbs(h.Linkname) || !filepath.IsLocal(target) {
			return wrong("entry %.80q is a link that leads out of the folder", name)
		}
		h.Name = name
		u.links = append(u.links, h)
		return nil
	case tar.TypeLink:
		return wrong("entry %.80q is a hard link, wanted a file", name)
	}
	return wrong("entry %.80q is a device or a pipe, wanted a file", name)
}

func (u *untar) file(h *tar.Header, name string) error {
	if u.size += h.Size; h.Size < 0 || u.size > u.limits.Size {
		return wrong("the archive would unpack to more than %d bytes", u.limits.Size)
	}
	file, err := u.into.create(name, h.Mode&0o100 != 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	digest := sha256.New()
	if n, err := io.Copy(io.MultiWriter(file, digest), u.in); err != nil || n != h.Size {
		return wrong("entry %.80q ends early: %w", name, cause(err))
	}
	u.files = append(u.files, File{Path: name, Size: h.Size, SHA256: hex.EncodeToString(digest.Sum(nil))})
	return diskFault(file.Close())
}

func cause(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

// stay follows every link, now that all are there: one by itself may lead to
// something within the folder, and by way of another one out of it.
func (u *untar) stay() error {
	for _, h := range u.links {
		if _, err := u.into.root.Stat(filepath.FromSlash(h.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return wrong("entry %.80q is a link that leads out of the folder, or nowhere: %w", h.Name, err)
		}
	}
	return nil
}

// link makes a link when all files are there, so that nothing is written through it.
func (u *untar) link(h *tar.Header) error {
	if err := u.into.mkdir(filepath.Dir(filepath.FromSlash(h.Name))); err != nil {
		return err
	}
	return diskFault(u.into.root.Symlink(h.Linkname, filepath.FromSlash(h.Name)))
}
