package lint

import (
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

// mostImports is how many packages are remembered of a file.
const mostImports = 200

// traits are what other rules than those of the file itself ask of a Python
// file. They are kept when the file is forgotten.
type traits struct {
	seeds   bool     // it seeds random numbers
	imports []string // the packages it imports, by their first names
}

// traits are found once, when the file is first parsed for them.
func (f *File) traits() *traits {
	f.mu.Lock()
	known, held := f.known, f.held != nil
	f.mu.Unlock()
	if known != nil {
		return known
	}
	known = readTraits(code{f.Python(), f})
	if !held {
		f.release()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = known
	return known
}

func readTraits(c code) *traits {
	t := &traits{seeds: c.seeds()}
	for _, im := range c.Imports {
		if root := strings.Clone(python.Root(im.Module)); im.Level == 0 && !slices.Contains(t.imports, root) && len(t.imports) < mostImports {
			t.imports = append(t.imports, root)
		}
	}
	return t
}

// jobManifest is a manifest for examples: one model, with further lines of its
// training and of itself.
func jobManifest(train, rest string) string {
	return "apiVersion: towline/v1\nproject: shop\nmodels:\n  - name: demand\n    train:\n      command: [python, train.py]\n" + train + rest
}
