package cloud

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

const (
	marker  = ".complete" // beside the prefix, so that no training reads it
	uploads = 4           // files at a time
)

// file is one file of a channel.
type file struct {
	path string // on disk
	name string // under the prefix, slash-separated
	size int64
}

// Upload copies a folder to its content-addressed prefix. A marker beside the
// prefix is written last: where it is, everything is, and nothing is copied.
func (c *Cloud) Upload(ctx context.Context, a plan.Upload) (plan.Receipt, error) {
	at, err := parse(strings.TrimRight(a.To, "/"))
	if err != nil {
		return plan.Receipt{}, err
	}
	done := address{at.bucket, at.key + marker}
	receipt := plan.Receipt{Yields: map[string]string{"uri": at.String() + "/"}}
	complete, err := c.exists(ctx, done)
	if err != nil {
		return plan.Receipt{}, err
	}
	if complete {
		receipt.Said = "channel " + a.Channel + " was uploaded before: the same data is copied once"
		return receipt, nil
	}
	files, total, err := list(a)
	if err != nil {
		return plan.Receipt{}, err
	}
	if err := c.putAll(ctx, at, files, a.KMSKey); err != nil {
		return plan.Receipt{}, err
	}
	note := fmt.Sprintf(`{"digest":%q,"files":%d,"bytes":%d}`+"\n", a.Digest, len(files), total)
	if err := c.put(ctx, done, strings.NewReader(note), int64(len(note)), a.KMSKey); err != nil {
		return plan.Receipt{}, err
	}
	receipt.Said = fmt.Sprintf("channel %s: %d files, %s", a.Channel, len(files), amount(total))
	return receipt, nil
}

// list finds the files of a channel, links to files included.
func list(a plan.Upload) (files []file, total int64, err error) {
	err = filepath.WalkDir(a.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fault.Newf(fault.Repository, "upload channel %s: %s is neither a file nor a folder", a.Channel, path).
				Hintf("keep only plain files in the channel's folder")
		}
		name, err := filepath.Rel(a.Dir, path)
		files = append(files, file{path, filepath.ToSlash(name), info.Size()})
		total += info.Size()
		return err
	})
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return nil, 0, err
	case err != nil:
		return nil, 0, fault.Newf(fault.Missing, "upload channel %s: %w", a.Channel, err).
			Hintf("check train.channels.%s in towline.yaml", a.Channel)
	case len(files) == 0:
		return nil, 0, fault.Newf(fault.Missing, "upload channel %s: folder %s holds no files", a.Channel, a.Dir).
			Hintf("put the data there, or correct train.channels.%s in towline.yaml", a.Channel)
	}
	return files, total, nil
}

// putAll copies the files, some at a time.
func (c *Cloud) putAll(ctx context.Context, at address, files []file, key string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(uploads)
	for _, f := range files {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return c.putFile(ctx, address{at.bucket, at.key + "/" + f.name}, f, key)
		})
	}
	return group.Wait()
}

// putFile streams one file, in parts if it is large.
func (c *Cloud) putFile(ctx context.Context, to address, f file, key string) error {
	body, err := os.Open(f.path)
	if err != nil {
		return fault.Newf(fault.Missing, "upload: %w", err).Hintf("make the file readable")
	}
	defer body.Close()
	if f.size > c.part {
		return c.putParts(ctx, to, body, f.size, key)
	}
	return c.put(ctx, to, body, f.size, key)
}
