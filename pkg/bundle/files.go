package bundle

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/moby/patternmatcher"

	"gitlab.com/towline/towline/pkg/fault"
)

// Tree says which folders of a repository belong to a model.
type Tree struct {
	Root    string   // folder of the repository, absolute
	Path    string   // folder of the model, slash-separated, relative to Root; "" is "."
	Shared  []string // further folders, relative to Root
	Exclude []string // folders that are data, relative to Root; no pattern brings them back
	Cache   string   // folder that remembers digests of large files; "" for none
}

// File is one file of the code layer.
type File struct {
	Path string      // slash-separated, relative to /opt/program
	Mode fs.FileMode // 0644 or 0755
	Size int64

	onDisk string
	cache  string
}

// Digest is the sha256 of the file's content, hexadecimal.
func (f File) Digest() (string, error) {
	sum, err := digestOf(f.onDisk, f.cache)
	return sum, diskFault("read "+f.Path, err)
}

// Files are the files of the code layer, sorted by path. Left out are what the
// default patterns and the ignore files name, the data folders, .git and
// .towline. Symlinks are followed to regular files of the repository. A link
// that leaves it, a secret, and a name that two folders give to different
// files are faults of the repository.
func Files(t Tree) ([]File, error) {
	t.Path = path.Clean(t.Path)
	root, err := filepath.EvalSymlinks(t.Root)
	if err != nil {
		return nil, diskFault("read the repository", err)
	}
	t.Root = root
	ignore, err := newIgnorer(t)
	if err != nil {
		return nil, err
	}
	s := &selection{root: root, cache: t.Cache, ignore: ignore, data: map[string]bool{}, found: map[string]File{}}
	for _, folder := range t.Exclude {
		if folder = path.Clean(folder); folder != "." {
			s.data[folder] = true
		}
	}
	if err := s.model(t.Path); err != nil {
		return nil, err
	}
	for _, folder := range t.Shared {
		if err := s.shared(path.Clean(folder)); err != nil {
			return nil, err
		}
	}
	return s.sorted(), nil
}

// selection collects the files of a tree.
type selection struct {
	root   string
	cache  string
	ignore *ignorer
	data   map[string]bool
	found  map[string]File // by path in the image

	from, to string // the folder that is being walked, and where it goes in the image
}

func (s *selection) model(folder string) error {
	s.from, s.to = folder, "."
	return s.start(folder)
}

func (s *selection) shared(folder string) error {
	s.from, s.to = folder, folder
	return s.start(folder)
}

func (s *selection) start(folder string) error {
	info, err := os.Stat(s.onDisk(folder))
	if err != nil {
		return fault.Newf(fault.Repository, "package %s: %w", folder, err).
			Hintf("correct path or shared in towline.yaml")
	}
	if !info.IsDir() {
		return fault.Newf(fault.Repository, "package %s: a file, wanted a folder", folder).
			Hintf("correct path or shared in towline.yaml")
	}
	return s.walk(folder, patternmatcher.MatchInfo{})
}

// walk takes in a folder, which is given relative to the repository.
func (s *selection) walk(folder string, judged patternmatcher.MatchInfo) error {
	list, err := os.ReadDir(s.onDisk(folder))
	if err != nil {
		return diskFault("read "+folder, err)
	}
	for _, item := range list {
		name := path.Join(folder, item.Name())
		if s.data[name] || neverPacked[item.Name()] {
			continue
		}
		out, info, err := s.ignore.ignored(name, judged)
		if err != nil {
			return fault.Newf(fault.Repository, "match %s with the ignore files: %w", name, err)
		}
		switch {
		case item.IsDir() && (!out || s.ignore.mayHold(name)):
			err = s.walk(name, info)
		case !item.IsDir() && !out:
			err = s.take(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// take adds one file.
func (s *selection) take(name string) error {
	if !utf8.ValidString(name) {
		return fault.Newf(fault.Repository, "package %q: the name is not UTF-8", name).Hintf("rename the file")
	}
	onDisk, err := s.resolve(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(onDisk)
	if err != nil {
		return diskFault("read "+name, err)
	}
	if err := s.regular(name, info); err != nil {
		return err
	}
	if err := refuseSecret(name, onDisk); err != nil {
		return err
	}
	return s.add(name, File{Path: s.target(name), Mode: packedMode(info.Mode()), Size: info.Size(), onDisk: onDisk, cache: s.cache})
}

// resolve follows a symlink, which must not leave the repository.
func (s *selection) resolve(name string) (string, error) {
	onDisk := s.onDisk(name)
	info, err := os.Lstat(onDisk)
	if err != nil {
		return "", diskFault("read "+name, err)
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return onDisk, nil
	}
	target, err := filepath.EvalSymlinks(onDisk)
	if err != nil {
		return "", fault.Newf(fault.Repository, "package %s: the symlink leads nowhere: %w", name, err).
			Hintf("remove the link, or name it in .towlineignore")
	}
	inside, err := filepath.Rel(s.root, target)
	if err != nil || !filepath.IsLocal(inside) {
		return "", fault.Newf(fault.Repository, "package %s: the symlink leaves the repository", name).
			Hintf("copy the file into the repository, or name the link in .towlineignore")
	}
	inside = filepath.ToSlash(inside)
	if first, _, _ := strings.Cut(inside, "/"); neverPacked[first] {
		return "", fault.Newf(fault.Repository, "package %s: the symlink leads into %s", name, first).
			Hintf("remove the link, or name it in .towlineignore")
	}
	return target, refuseSecret(inside, target)
}

func (s *selection) regular(name string, info fs.FileInfo) error {
	switch {
	case info.Mode().IsRegular():
		return nil
	case info.IsDir():
		return fault.Newf(fault.Repository, "package %s: a symlink to a folder, wanted one to a file", name).
			Hintf("name the folder under shared in towline.yaml, or the link in .towlineignore")
	}
	return fault.Newf(fault.Repository, "package %s: found %s, wanted a regular file", name, info.Mode().Type()).
		Hintf("remove it, or name it in .towlineignore")
}

func (s *selection) add(name string, file File) error {
	if other, ok := s.found[file.Path]; ok && other.onDisk != file.onDisk {
		return fault.Newf(fault.Repository, "package %s: another folder has a file for /opt/program/%s", name, file.Path).
			Hintf("rename one of the two files")
	}
	s.found[file.Path] = file
	return nil
}

func (s *selection) sorted() []File {
	files := make([]File, 0, len(s.found))
	for _, file := range s.found {
		files = append(files, file)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

func (s *selection) onDisk(name string) string {
	return filepath.Join(s.root, filepath.FromSlash(name))
}

// target is a file's path in the image, relative to /opt/program.
func (s *selection) target(name string) string {
	if s.from == "." {
		return path.Join(s.to, name)
	}
	return path.Join(s.to, strings.TrimPrefix(name, s.from+"/"))
}

// packedMode keeps whether the owner may run a file, and nothing else.
func packedMode(mode fs.FileMode) fs.FileMode {
	if mode&0o100 != 0 {
		return 0o755
	}
	return 0o644
}
