package objects

import (
	"bufio"
	"crypto/md5" // an ETag is one
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/renameio/v2"
	"github.com/johannesboyne/gofakes3"

	"gitlab.com/towline/towline/pkg/localcloud/store"
)

// What a bucket's folder holds. Contents lie under random names, and the
// journal says which key has which content: the last line of a key counts.
const (
	bucketFile  = "bucket.json"
	journalFile = "index.jsonl"
	contentDir  = "objects"
	uploadDir   = "uploads"
)

type bucketInfo struct {
	Created time.Time `json:"created"`
}

// entry is one line of the journal.
type entry struct {
	Key      string            `json:"key"`
	File     string            `json:"file,omitempty"` // below contentDir; "" for a key that was deleted
	Size     int64             `json:"size"`
	MD5      string            `json:"md5,omitempty"`
	ETag     string            `json:"etag,omitempty"` // if it is not the MD5, as of an upload in parts
	CRC32    uint32            `json:"crc32"`
	Modified time.Time         `json:"modified"`
	Meta     map[string]string `json:"meta,omitempty"` // headers that come back with the object
}

func (e entry) etag() string {
	if e.ETag != "" {
		return e.ETag
	}
	return e.MD5
}

// bucket is the index of one bucket; contents stay on disk.
type bucket struct {
	dir     string
	created time.Time

	mu      sync.RWMutex
	entries map[string]entry
	keys    []string // sorted; nil after a key came or went
	journal *os.File
	end     int64 // of the last whole line
}

// uploadLife is how long an upload in parts may rest before it is cleared away.
const uploadLife = 7 * 24 * time.Hour

// openBucket reads a bucket, and clears away what began before a time and was
// never ended.
func openBucket(dir string, stale time.Time) (*bucket, error) {
	var info bucketInfo
	if err := store.Read(filepath.Join(dir, bucketFile), &info); err != nil {
		return nil, err
	}
	b := &bucket{dir: dir, created: info.Created, entries: map[string]entry{}}
	if err := b.replay(); err != nil {
		return nil, fmt.Errorf("read the index of bucket %s: %w", filepath.Base(dir), err)
	}
	if err := errors.Join(b.sweep(), b.sweepUploads(stale)); err != nil {
		return nil, err
	}
	return b, b.compact()
}

// replay reads the journal. A last line without an end was cut off by a crash.
func (b *bucket) replay() error {
	f, err := os.Open(b.path(journalFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		b.apply(e)
	}
}

func (b *bucket) apply(e entry) {
	_, had := b.entries[e.Key]
	if e.File == "" {
		delete(b.entries, e.Key)
	} else {
		b.entries[e.Key] = e
	}
	if had != (e.File != "") {
		b.keys = nil
	}
}

// sweep removes contents that no key has: writes that did not end.
func (b *bucket) sweep() error {
	used := make(map[string]bool, len(b.entries))
	for _, e := range b.entries {
		used[e.File] = true
	}
	files, err := os.ReadDir(b.path(contentDir))
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(b.path(contentDir), 0o755)
	}
	if err != nil {
		return err
	}
	for _, file := range files {
		if !used[file.Name()] {
			if err := os.Remove(b.path(contentDir, file.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// compact writes the journal anew, one line for each key, and keeps it open.
func (b *bucket) compact() error {
	f, err := renameio.NewPendingFile(b.path(journalFile), renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer func() { _ = f.Cleanup() }()
	lines := bufio.NewWriter(f)
	for _, key := range b.sorted() {
		line, err := json.Marshal(b.entries[key])
		if err != nil {
			return err
		}
		if _, err := lines.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	if err := lines.Flush(); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return err
	}
	if b.journal, err = os.OpenFile(b.path(journalFile), os.O_RDWR, 0o644); err != nil {
		return err
	}
	b.end, err = b.journal.Seek(0, io.SeekEnd)
	return err
}

func (b *bucket) close() error { return b.journal.Close() }

// record appends a line and applies it. A line that the disk would not take
// is cut off again.
func (b *bucket) record(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := b.journal.WriteAt(append(line, '\n'), b.end); err != nil {
		return errors.Join(err, b.journal.Truncate(b.end))
	}
	b.end += int64(len(line)) + 1
	b.apply(e)
	return nil
}

// put stores content under e.Key, unless allow refuses what is there.
func (b *bucket) put(e entry, content io.Reader, allow func(old entry, found bool) error) (entry, error) {
	if e.Key == "" || len(e.Key) > gofakes3.KeySizeLimit || !utf8.ValidString(e.Key) {
		return e, ErrKey
	}
	e.File = rand.Text()
	path := b.path(contentDir, e.File)
	if err := e.fill(path, content); err != nil {
		return e, errors.Join(err, os.Remove(path))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, found := b.entries[e.Key]
	if allow != nil {
		if err := allow(old, found); err != nil {
			return e, errors.Join(err, os.Remove(path))
		}
	}
	if err := b.record(e); err != nil {
		return e, errors.Join(err, os.Remove(path))
	}
	if found {
		_ = os.Remove(b.path(contentDir, old.File)) // what is left is swept at the next start
	}
	return e, nil
}

// fill writes the content to a new file and measures it.
func (e *entry) fill(path string, content io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	sum, check := md5.New(), crc32.NewIEEE()
	e.Size, err = io.Copy(io.MultiWriter(f, sum, check), content)
	e.MD5, e.CRC32 = hex.EncodeToString(sum.Sum(nil)), check.Sum32()
	return errors.Join(err, f.Close())
}

// open gives an object and its content.
func (b *bucket) open(key string) (entry, *os.File, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	e, found := b.entries[key]
	if !found {
		return e, nil, ErrNoObject
	}
	f, err := os.Open(b.path(contentDir, e.File))
	return e, f, err
}

func (b *bucket) get(key string) (entry, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	e, found := b.entries[key]
	return e, found
}

func (b *bucket) remove(key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, found := b.entries[key]
	if !found {
		return nil
	}
	if err := b.record(entry{Key: key}); err != nil {
		return err
	}
	_ = os.Remove(b.path(contentDir, old.File)) // what is left is swept at the next start
	return nil
}

// sorted gives the keys in order. The caller holds the lock for writing.
func (b *bucket) sorted() []string {
	if b.keys == nil {
		b.keys = make([]string, 0, len(b.entries))
		for key := range b.entries {
			b.keys = append(b.keys, key)
		}
		slices.Sort(b.keys)
	}
	return b.keys
}

func (b *bucket) path(elem ...string) string {
	return filepath.Join(append([]string{b.dir}, elem...)...)
}
