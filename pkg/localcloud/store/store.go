// Package store keeps the local cloud's state on disk: one JSON file for each
// thing of a kind, replaced as a whole.
//
// In come named values; out go copies of them. What was saved survives the end
// of the process at any moment. It knows nothing of what the values mean.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/google/renameio/v2"
)

// ErrExists says that a name is taken.
var ErrExists = errors.New("it exists already")

// Table holds everything of one kind, by name. Names must be valid file names.
type Table[T any] struct {
	dir  string
	mu   sync.RWMutex
	rows map[string]T
}

const suffix = ".json"

// Open reads the table that a folder holds, which is made if need be.
func Open[T any](dir string) (*Table[T], error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	t := &Table[T]{dir: dir, rows: map[string]T{}}
	for _, entry := range entries {
		name, isRow := strings.CutSuffix(entry.Name(), suffix)
		if !isRow || strings.HasPrefix(name, ".") {
			continue
		}
		var row T
		if err := Read(filepath.Join(dir, entry.Name()), &row); err != nil {
			return nil, err
		}
		t.rows[name] = row
	}
	return t, nil
}

// Get gives the row of a name.
func (t *Table[T]) Get(name string) (T, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	row, found := t.rows[name]
	return row, found
}

// All gives every row, in no order.
func (t *Table[T]) All() []T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	rows := make([]T, 0, len(t.rows))
	for _, row := range t.rows {
		rows = append(rows, row)
	}
	return rows
}

// Names gives the name of every row, in no order.
func (t *Table[T]) Names() []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Keys(t.rows))
}

// Insert adds a row. It is there only once it is on disk; a name that is
// taken gives ErrExists.
func (t *Table[T]) Insert(name string, row T) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, taken := t.rows[name]; taken {
		return ErrExists
	}
	if err := Write(t.path(name), row); err != nil {
		return err
	}
	t.rows[name] = row
	return nil
}

// Update changes a row; change may refuse. What happened in the world stays
// changed in memory if the disk would not take it, and the error is that of the disk.
func (t *Table[T]) Update(name string, change func(*T) error) (T, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	row, found := t.rows[name]
	if !found {
		return row, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	if err := change(&row); err != nil {
		return row, err
	}
	t.rows[name] = row
	return row, Write(t.path(name), row)
}

// Delete removes a row, and says whether there was one.
func (t *Table[T]) Delete(name string) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, found := t.rows[name]; !found {
		return false, nil
	}
	if err := os.Remove(t.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return true, err
	}
	delete(t.rows, name)
	return true, nil
}

func (t *Table[T]) path(name string) string { return filepath.Join(t.dir, name+suffix) }

// Read reads a value from a JSON file.
func Read(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// Write replaces a JSON file as a whole.
func Write(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(path, append(data, '\n'), 0o644)
}
