// Package objects is the S3 of the local cloud: buckets and objects on disk
// behind the protocol that gofakes3 speaks.
//
// In come S3 requests, and the cloud's own reads and writes; out go objects.
// An object is there as a whole or not at all, also after a crash. Contents
// pass through in pieces: no object is ever held in memory. It knows no
// versions, policies or tags of objects, and refuses requests for them.
package objects

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"

	"gitlab.com/towline/towline/pkg/localcloud/store"
)

// Store is every bucket below one folder.
type Store struct {
	dir string
	now func() time.Time

	mu      sync.RWMutex
	buckets map[string]*bucket
}

// ErrNoBucket and ErrNoObject say what is not there, ErrKey what cannot be.
var (
	ErrNoBucket = errors.New("the bucket does not exist")
	ErrNoObject = errors.New("the object does not exist")
	ErrKey      = errors.New("a key has 1 to 1024 bytes of UTF-8")
)

// Object is what a listing tells of an object.
type Object struct {
	Key  string
	Size int64
}

// Open reads the buckets of a folder, which is made if need be, and clears
// away what an interrupted write left in it.
func Open(dir string, now func() time.Time) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, now: now, buckets: map[string]*bucket{}}
	for _, entry := range entries {
		b, err := openBucket(filepath.Join(dir, entry.Name()), now().Add(-uploadLife))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a folder without a bucket's file: its making was cut off
		}
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.buckets[entry.Name()] = b
	}
	return s, nil
}

// Close closes the buckets' indexes.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, b := range s.buckets {
		errs = append(errs, b.close())
	}
	return errors.Join(errs...)
}

// Handler speaks S3, with buckets in the path or below .localhost.
func (s *Store) Handler() http.Handler {
	fake := gofakes3.New(backend{s},
		gofakes3.WithTimeSkewLimit(0),
		gofakes3.WithTimeSource(source(s.now)),
		gofakes3.WithoutVersioning(),
	)
	return wire{store: s, next: fake.Server()}
}

// MakeBucket makes a bucket unless it is there.
func (s *Store) MakeBucket(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[name] != nil {
		return nil
	}
	dir := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Join(dir, contentDir), 0o755); err != nil {
		return err
	}
	if err := store.Write(filepath.Join(dir, bucketFile), bucketInfo{Created: s.now().UTC()}); err != nil {
		return err
	}
	b, err := openBucket(dir, s.now().Add(-uploadLife))
	if err != nil {
		return err
	}
	s.buckets[name] = b
	return nil
}

// HasBucket says whether there is such a bucket.
func (s *Store) HasBucket(name string) bool {
	_, err := s.bucket(name)
	return err == nil
}

// List gives the objects whose keys begin with prefix, in order of their keys.
func (s *Store) List(bucket, prefix string) ([]Object, error) {
	b, err := s.bucket(bucket)
	if err != nil {
		return nil, err
	}
	var list []Object
	for _, e := range b.page(query{prefix: prefix, max: -1}).entries {
		list = append(list, Object{Key: e.Key, Size: e.Size})
	}
	return list, nil
}

// Get opens an object for reading.
func (s *Store) Get(bucket, key string) (io.ReadCloser, error) {
	b, err := s.bucket(bucket)
	if err != nil {
		return nil, err
	}
	_, f, err := b.open(key)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Put writes an object out of a stream.
func (s *Store) Put(bucket, key string, content io.Reader) error {
	b, err := s.bucket(bucket)
	if err != nil {
		return err
	}
	_, err = b.put(entry{Key: key, Modified: s.now().UTC()}, content, nil)
	return err
}

func (s *Store) bucket(name string) (*bucket, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if b := s.buckets[name]; b != nil {
		return b, nil
	}
	return nil, ErrNoBucket
}

// source is the clock in the form gofakes3 wants.
type source func() time.Time

func (s source) Now() time.Time                  { return s().UTC() }
func (s source) Since(t time.Time) time.Duration { return s().Sub(t) }
