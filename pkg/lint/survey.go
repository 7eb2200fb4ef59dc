package lint

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
)

// skipped are folders that belong to no repository.
var skipped = []string{".git", ".towline"}

// survey lists the files and reads the manifest.
func (s *scan) survey(ctx context.Context) (*Repo, error) {
	o := s.options
	repo := &Repo{Profile: o.Profile, byPath: map[string]*File{}, folders: map[string]bool{}}
	if o.Tracked != nil {
		repo.tracked = map[string]bool{}
		for _, name := range o.Tracked {
			repo.tracked[name] = true
		}
	}
	slices.Sort(s.options.Only)
	err := fs.WalkDir(o.FS, ".", func(name string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains(skipped, entry.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			repo.add(&File{Path: name, Kind: kindOf(name), Size: info.Size(), Mode: info.Mode(), Repo: repo, fsys: o.FS, limits: o.Limits})
		}
		return nil
	})
	if err != nil {
		return nil, fault.Newf(fault.Repository, "list the files: %w", err)
	}
	slices.SortFunc(repo.files, func(a, b *File) int { return strings.Compare(a.Path, b.Path) })
	repo.readManifest()
	repo.addModels()
	return repo, nil
}

func (r *Repo) add(f *File) {
	r.files = append(r.files, f)
	r.byPath[f.Path] = f
	for folder := path.Dir(f.Path); !r.folders[folder]; folder = path.Dir(folder) {
		r.folders[folder] = true
	}
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
