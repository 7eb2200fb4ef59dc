package lint

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
)

// skipped are folders that belong to no repository.
var skipped = []string{".git", ".towline"}

// surveyor lists the files of a repository.
type surveyor struct {
	repo  *Repo
	own   *Report // of the linter itself
	seen  int     // files and folders
	rules []ignoreRule
}

// survey lists the files and reads the manifest.
func (s *scan) survey(ctx context.Context) (*Repo, error) {
	o := s.options
	repo := &Repo{Profile: o.Profile, folders: map[string]bool{}, fsys: o.FS, limits: o.Limits, installed: o.Installed, only: s.only, exclude: s.exclude}
	if o.Tracked != nil {
		repo.tracked = map[string]bool{}
		for _, name := range o.Tracked {
			repo.tracked[name] = true
		}
	}
	v := &surveyor{repo: repo, own: s.own}
	var err error
	if o.Listed != nil {
		err = v.list(ctx, o.Listed)
	} else {
		err = v.walk(ctx, ".", 0)
	}
	if err != nil && !errors.Is(err, errTooMany) {
		return nil, err
	}
	slices.SortFunc(repo.files, func(a, b *File) int { return strings.Compare(a.Path, b.Path) })
	repo.files = slices.CompactFunc(repo.files, func(a, b *File) bool { return a.Path == b.Path })
	repo.readManifest()
	repo.addModels()
	repo.imageFiles = sync.OnceValue(repo.installedFrom)
	return repo, nil
}

var errTooMany = errors.New("too many files")

// list looks at files whose names are known.
func (v *surveyor) list(ctx context.Context, names []string) error {
	for _, name := range names {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name = path.Clean(name)
		if !fs.ValidPath(name) || slices.ContainsFunc(strings.Split(name, "/"), belongsToNone) {
			continue
		}
		info, err := fs.Lstat(v.repo.fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed, and git not told yet
		}
		if err := v.add(name, info, err); err != nil {
			return err
		}
	}
	return nil
}

func belongsToNone(name string) bool { return slices.Contains(skipped, name) }

// walk looks into a folder and those below it.
func (v *surveyor) walk(ctx context.Context, folder string, depth int) error {
	if depth > v.repo.limits.Depth {
		v.own.linter(ruleTooDeep, folder, 0, "folders are nested more than %d deep: what is below is not looked at", v.repo.limits.Depth)
		return nil
	}
	outer := len(v.rules)
	defer func() { v.rules = v.rules[:outer] }()
	for _, name := range ignoreFiles {
		v.rules = append(v.rules, readIgnoreRules(v.repo.fsys, folder, name)...)
	}
	dir, err := v.repo.fsys.Open(folder)
	if err != nil {
		return v.closed(folder, err)
	}
	defer func() { _ = dir.Close() }()
	reader, ok := dir.(fs.ReadDirFile)
	if !ok {
		return v.closed(folder, errors.New("not a folder"))
	}
	return v.entries(ctx, folder, depth, reader)
}

// entriesAtOnce bounds how many names of a folder are held in memory.
const entriesAtOnce = 2000

func (v *surveyor) entries(ctx context.Context, folder string, depth int, dir fs.ReadDirFile) error {
	for {
		entries, err := dir.ReadDir(entriesAtOnce)
		slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
		for _, entry := range entries {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := v.entry(ctx, path.Join(folder, entry.Name()), depth, entry); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || err == nil && len(entries) == 0 {
			return nil
		}
		if err != nil {
			return v.closed(folder, err)
		}
	}
}

func (v *surveyor) entry(ctx context.Context, name string, depth int, entry fs.DirEntry) error {
	if belongsToNone(entry.Name()) || ignored(v.rules, name, entry.IsDir()) {
		return nil
	}
	if entry.IsDir() {
		if v.seen++; v.seen > v.repo.limits.Files {
			return v.tooMany()
		}
		return v.walk(ctx, name, depth+1)
	}
	info, err := entry.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return v.add(name, info, err)
}

// closed reports a folder that cannot be read; the top of the repository must be.
func (v *surveyor) closed(folder string, err error) error {
	if folder == "." {
		return fault.Newf(fault.Repository, "list the files: %w", err)
	}
	v.own.linter(ruleUnreadable, folder, 0, "the folder cannot be read: %s", reason(err))
	return nil
}

func (v *surveyor) tooMany() error {
	v.own.linter(ruleTooMany, ".", 0, "there are more than %d files: the others are not looked at", v.repo.limits.Files)
	return errTooMany
}

// add takes a file in. Links are not followed, but looked at: one that leaves
// the repository is broken in every other clone.
func (v *surveyor) add(name string, info fs.FileInfo, err error) error {
	if v.seen++; v.seen > v.repo.limits.Files {
		return v.tooMany()
	}
	switch {
	case err != nil:
		v.own.linter(ruleUnreadable, name, 0, "the file cannot be read: %s", reason(err))
	case info.Mode()&fs.ModeSymlink != 0:
		v.link(name)
	case info.Mode().IsRegular():
		f := &File{Path: name, Kind: kindOf(name), Size: info.Size(), Mode: info.Mode(), Repo: v.repo}
		if f.mayBeProgram() && runsPython(f.Head(80)) {
			f.Kind = Python
		}
		v.repo.files = append(v.repo.files, f)
		for folder := path.Dir(name); !v.repo.folders[folder]; folder = path.Dir(folder) {
			v.repo.folders[folder] = true
		}
	}
	return nil
}

func (v *surveyor) link(name string) {
	target, err := fs.ReadLink(v.repo.fsys, name)
	if err != nil {
		v.own.linter(ruleUnreadable, name, 0, "the link cannot be read: %s", reason(err))
		return
	}
	whole := path.Join(path.Dir(name), target)
	if path.IsAbs(target) || whole == ".." || strings.HasPrefix(whole, "../") {
		v.own.linter(ruleLink, name, 0, "the link leads out of the repository, to %s", clip(target, 0))
		return
	}
	if _, err := fs.Stat(v.repo.fsys, name); err != nil {
		v.own.linter(ruleLink, name, 0, "the link leads nowhere: %s", clip(target, 0))
	}
}

// reason is an error of a file system without the path, which is named already.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// readManifest reads towline.yaml, if there is one.
func (r *Repo) readManifest() {
	f, ok := r.File(manifest.File)
	if !ok {
		return
	}
	m, err := manifest.Load(f.Bytes())
	if err != nil {
		r.problems = manifest.ProblemsOf(err)
		return
	}
	r.manifest = &m
}
