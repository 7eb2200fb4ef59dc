package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// root is an image's files, in use until it is released.
type root struct {
	tree    string // folder that stands for / in the image
	fresh   bool   // it was not there before
	release func()
}

// busy is the lock that is shared by all who unpack, and taken by who cleans up.
const busy = "unpack"

const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// root unpacks the image, or finds what was unpacked before.
func (c *cache) root(ctx context.Context, image v1.Image) (*root, error) {
	id, err := image.ConfigName()
	if err != nil {
		return nil, fmt.Errorf("read the image's id: %w", err)
	}
	idle, err := c.share(ctx, busy)
	if err != nil {
		return nil, err
	}
	defer idle()
	release, err := c.share(ctx, id.Hex)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	_ = os.Chtimes(c.path("locks", id.Hex), now, now) // used last now

	final := c.path("roots", id.Hex)
	fresh, err := c.folder(ctx, final, func(tmp string) error { return c.assemble(ctx, image, tmp) })
	if err != nil {
		release()
		return nil, err
	}
	return &root{tree: filepath.Join(final, "tree"), fresh: fresh, release: release}, nil
}

// assemble makes the root tree of an image, and a note of its layers beside it.
func (c *cache) assemble(ctx context.Context, image v1.Image, dir string) error {
	ids, err := c.unpackAll(ctx, image)
	if err != nil {
		return err
	}
	tree := filepath.Join(dir, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	for _, id := range ids {
		if err := overlay(c.path("layers", id), tree); err != nil {
			return fmt.Errorf("assemble the image's files: %w", err)
		}
	}
	note, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "layers.json"), note, 0o644)
}

// unpackAll unpacks the layers side by side and returns their folders' names,
// the lowest layer first.
func (c *cache) unpackAll(ctx context.Context, image v1.Image) ([]string, error) {
	layers, err := image.Layers()
	if err != nil {
		return nil, fmt.Errorf("read the image's layers: %w", err)
	}
	ids := make([]string, len(layers))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(2, goruntime.GOMAXPROCS(0)))
	for i, layer := range layers {
		group.Go(func() error {
			id, err := layer.DiffID()
			if err != nil {
				return fmt.Errorf("read the image's layers: %w", err)
			}
			ids[i] = id.Hex
			_, err = c.folder(ctx, c.path("layers", id.Hex), func(tmp string) error {
				return unpack(ctx, layer, id, tmp)
			})
			return err
		})
	}
	return ids, group.Wait()
}

// overlay puts a layer's files over those of the layers below it. Paths can be
// joined safely here: both trees are our own, made without following a
// symbolic link, and only real folders are descended into.
func overlay(layer, tree string) error {
	entries, err := os.ReadDir(layer)
	if err != nil {
		return err
	}
	if err := erase(entries, tree); err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), whiteout) {
			continue
		}
		from, to := filepath.Join(layer, entry.Name()), filepath.Join(tree, entry.Name())
		if entry.IsDir() {
			err = overlayFolder(from, to)
		} else {
			err = overlayFile(from, to, entry)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// erase carries out the whiteouts of one folder.
// https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
func erase(entries []os.DirEntry, tree string) error {
	for _, entry := range entries {
		name, marked := strings.CutPrefix(entry.Name(), whiteout)
		switch {
		case !marked:
		case entry.Name() == opaque:
			below, err := os.ReadDir(tree)
			if err != nil {
				return err
			}
			for _, old := range below {
				if err := os.RemoveAll(filepath.Join(tree, old.Name())); err != nil {
					return err
				}
			}
		case name == "" || name == "." || name == ".." || strings.HasPrefix(name, whiteout):
		default:
			if err := os.RemoveAll(filepath.Join(tree, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func overlayFolder(from, to string) error {
	err := os.Mkdir(to, 0o755)
	if errors.Is(err, os.ErrExist) && !isDir(to) { // a folder takes the place of a file
		if err := os.Remove(to); err != nil {
			return err
		}
		err = os.Mkdir(to, 0o755)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return overlay(from, to)
}

func overlayFile(from, to string, entry os.DirEntry) error {
	put := func() error { return linkOrCopy(from, to) }
	if entry.Type()&os.ModeSymlink != 0 {
		put = func() error {
			target, err := os.Readlink(from)
			if err != nil {
				return err
			}
			return os.Symlink(target, to)
		}
	}
	err := put()
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return put()
}

// linkOrCopy makes a hard link, and a copy where the file system has none or
// no more of them.
func linkOrCopy(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, os.ErrExist) {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(info.Mode().Perm()), out.Close())
}
