package bundle

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// installed is a stage of distributions with one file each, by "name version".
func installed(sizes map[string]int64) *stage {
	s := &stage{}
	for dist, size := range sizes {
		name, _, _ := strings.Cut(dist, " ")
		s.files = append(s.files, staged{path: name + "/module.py", size: size, dist: dist})
	}
	slices.SortFunc(s.files, func(a, b staged) int { return strings.Compare(a.path, b.path) })
	return s
}

// small is so many distributions of 1 MiB.
func small(n int) map[string]int64 {
	sizes := map[string]int64{}
	for i := range n {
		sizes[fmt.Sprintf("small%02d 1.0", i)] = 1 << 20
	}
	return sizes
}

func layerOf(groups []group, name string) int {
	return slices.IndexFunc(groups, func(g group) bool {
		return slices.ContainsFunc(g.items, func(it item) bool { return it.path == libFolder+"/"+name+"/module.py" })
	})
}

func TestSmallDistributionsShareLayers(t *testing.T) {
	for _, tt := range []struct {
		name        string
		small       int
		large       int
		least, most int // layers
	}{
		{"few of them need one layer", 7, 0, 1, 1},
		{"40 MiB need several", 40, 0, 2, 5},
		{"hundreds need no more than an image has room for", 400, 0, 2, maxDependencyLayers},
		{"beside large ones", 40, 3, 4, maxDependencyLayers},
		{"beside more large ones than there are layers", 40, 9, maxDependencyLayers, maxDependencyLayers},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sizes := small(tt.small)
			for i := range tt.large {
				sizes[fmt.Sprintf("large%d 1.0", i)] = ownLayer + int64(i)
			}
			groups := installed(sizes).groups()
			if n := len(groups); n < tt.least || n > tt.most {
				t.Errorf("%d layers, want %d to %d", n, tt.least, tt.most)
			}
			files := 0
			for _, g := range groups {
				files += len(g.items)
			}
			if files != tt.small+tt.large {
				t.Errorf("%d files are packed, want %d", files, tt.small+tt.large)
			}
		})
	}
}

// A new version, or one small distribution more, leaves the others where they were.
func TestSmallDistributionsStayInTheirLayers(t *testing.T) {
	sizes := small(40)
	before := installed(sizes).groups()
	delete(sizes, "small07 1.0")
	sizes["small07 2.0"] = 1<<20 + 5
	sizes["small99 1.0"] = 100
	after := installed(sizes).groups()
	for i := range 40 {
		name := fmt.Sprintf("small%02d", i)
		if was, is := layerOf(before, name), layerOf(after, name); was != is || was < 0 {
			t.Errorf("%s was in layer %d and is in layer %d", name, was, is)
		}
	}
}
