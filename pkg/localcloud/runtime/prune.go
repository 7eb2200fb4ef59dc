package runtime

import (
	"encoding/json"
	"os"
	"sort"
	"time"
)

// prune removes the root trees that are not in use, but for the keep that were
// used last, the layers that no root tree is left for, and unfinished work.
func (c *cache) prune(keep int) error {
	free, alone, err := c.claim(busy)
	if err != nil || !alone {
		return err
	}
	defer free()
	if err := c.clear("tmp", nil); err != nil {
		return err
	}
	roots, err := c.rootsByUse()
	if err != nil {
		return err
	}
	needed := map[string]bool{}
	for i, id := range roots {
		if i >= keep && c.drop(id) {
			continue
		}
		for _, layer := range c.layersOf(id) {
			needed[layer] = true
		}
	}
	return c.clear("layers", needed)
}

// rootsByUse lists the root trees, the one that was used last first.
func (c *cache) rootsByUse() ([]string, error) {
	entries, err := os.ReadDir(c.path("roots"))
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(entries))
	used := map[string]time.Time{}
	for i, entry := range entries {
		ids[i] = entry.Name()
		if info, err := os.Stat(c.path("locks", ids[i])); err == nil {
			used[ids[i]] = info.ModTime()
		}
	}
	sort.SliceStable(ids, func(i, j int) bool { return used[ids[i]].After(used[ids[j]]) })
	return ids, nil
}

// drop removes a root tree unless a task uses it. The tree leaves its place at
// once, so that a removal that is cut off leaves no half of one.
func (c *cache) drop(id string) bool {
	free, alone, err := c.claim(id)
	if err != nil || !alone {
		return false
	}
	defer free()
	return c.discard("roots", id) == nil
}

func (c *cache) discard(kind, name string) error {
	trash := c.path("tmp", kind+"-"+name)
	if err := os.Rename(c.path(kind, name), trash); err != nil {
		return err
	}
	return os.RemoveAll(trash)
}

func (c *cache) layersOf(id string) []string {
	var layers []string
	note, err := os.ReadFile(c.path("roots", id, "layers.json"))
	if err == nil {
		_ = json.Unmarshal(note, &layers)
	}
	return layers
}

// clear removes everything of a kind that is not needed.
func (c *cache) clear(kind string, needed map[string]bool) error {
	entries, err := os.ReadDir(c.path(kind))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if needed[entry.Name()] {
			continue
		}
		if kind == "tmp" {
			err = os.RemoveAll(c.path(kind, entry.Name()))
		} else {
			err = c.discard(kind, entry.Name())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
