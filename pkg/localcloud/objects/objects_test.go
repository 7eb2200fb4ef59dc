package objects_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/localcloud/objects"
)

const bucket = "data"

func open(t *testing.T, dir string) *objects.Store {
	t.Helper()
	s, err := objects.Open(dir, time.Now)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.MakeBucket(bucket); err != nil {
		t.Fatalf("MakeBucket = %v", err)
	}
	return s
}

func get(t *testing.T, s *objects.Store, key string) string {
	t.Helper()
	r, err := s.Get(bucket, key)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = r.Close() }()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func put(t *testing.T, s *objects.Store, key, content string) {
	t.Helper()
	if err := s.Put(bucket, key, strings.NewReader(content)); err != nil {
		t.Fatalf("Put(%s) = %v", key, err)
	}
}

// broken gives some content and then an error.
type broken struct{ content io.Reader }

var errBroken = errors.New("the stream broke")

func (b broken) Read(p []byte) (int, error) {
	n, err := b.content.Read(p)
	if err == io.EOF {
		err = errBroken
	}
	return n, err
}

func contents(t *testing.T, dir string) int {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(dir, bucket, "objects"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestABrokenStreamLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "kept", "before")
	for _, key := range []string{"kept", "new"} {
		if err := s.Put(bucket, key, broken{strings.NewReader("half")}); !errors.Is(err, errBroken) {
			t.Errorf("Put of a broken stream = %v, want its error", err)
		}
	}
	if got := get(t, s, "kept"); got != "before" {
		t.Errorf("Get = %q, want what was there before", got)
	}
	if got := get(t, s, "new"); got != objects.ErrNoObject.Error() {
		t.Errorf("Get = %q, want that it is not there", got)
	}
	if n := contents(t, dir); n != 1 {
		t.Errorf("there are %d files, want 1", n)
	}
}

func TestAfterACrash(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "a", "1")
	put(t, s, "b", "2")
	put(t, s, "a", "3")
	journal := filepath.Join(dir, bucket, "index.jsonl")
	for name, damage := range map[string]func() error{
		"nothing": func() error { return nil },
		"a line that was cut off": func() error {
			f, err := os.OpenFile(journal, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString(`{"key":"c","fi`)
			return errors.Join(err, f.Close())
		},
		"contents without a key": func() error {
			return os.WriteFile(filepath.Join(dir, bucket, "objects", "ORPHAN"), []byte("half"), 0o644)
		},
		"a bucket that was not made whole": func() error {
			return os.MkdirAll(filepath.Join(dir, "half", "objects"), 0o755)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			s := open(t, dir)
			if a, b := get(t, s, "a"), get(t, s, "b"); a != "3" || b != "2" {
				t.Errorf("Get = %q and %q, want 3 and 2", a, b)
			}
			if n := contents(t, dir); n != 2 {
				t.Errorf("there are %d files, want 2", n)
			}
			if s.HasBucket("half") {
				t.Error("a bucket that was not made whole is there")
			}
		})
	}
}

func TestAnObjectThatIsReadWhileItChanges(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", "before")
	r, err := s.Get(bucket, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	put(t, s, "a", "after")
	if b, err := io.ReadAll(r); err != nil || string(b) != "before" {
		t.Errorf("the reader got %q, %v, want what it opened", b, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 50 {
				if err := s.Put(bucket, fmt.Sprintf("key/%d", i), strings.NewReader(fmt.Sprint(w))); err != nil {
					t.Errorf("Put = %v", err)
				}
				if _, err := s.List(bucket, "key/"); err != nil {
					t.Errorf("List = %v", err)
				}
			}
		})
	}
	writers.Wait()
	list, err := open(t, dir).List(bucket, "")
	if err != nil || len(list) != 50 {
		t.Errorf("List after a restart = %d objects, %v, want 50", len(list), err)
	}
	if n := contents(t, dir); n != 50 {
		t.Errorf("there are %d files, want 50", n)
	}
}

func TestNoBucket(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Put("none", "a", strings.NewReader("")); !errors.Is(err, objects.ErrNoBucket) {
		t.Errorf("Put = %v, want ErrNoBucket", err)
	}
	if _, err := s.List("none", ""); !errors.Is(err, objects.ErrNoBucket) {
		t.Errorf("List = %v, want ErrNoBucket", err)
	}
}
