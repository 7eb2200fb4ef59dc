package lint

import (
	"path"

	"github.com/pelletier/go-toml/v2"
)

// pyproject is the part of a pyproject.toml that rules look at.
type pyproject struct {
	Project struct {
		Name           string              `toml:"name"`
		RequiresPython string              `toml:"requires-python"`
		Dependencies   []string            `toml:"dependencies"`
		Optional       map[string][]string `toml:"optional-dependencies"`
		Dynamic        []string            `toml:"dynamic"`
	} `toml:"project"`
	Tool struct {
		Poetry struct {
			Name         string         `toml:"name"`
			Dependencies map[string]any `toml:"dependencies"`
			Source       []index        `toml:"source"`
		} `toml:"poetry"`
		UV struct {
			Index      []index  `toml:"index"`
			IndexURL   string   `toml:"index-url"`
			ExtraIndex []string `toml:"extra-index-url"`
		} `toml:"uv"`
	} `toml:"tool"`
}

type index struct {
	Name     string `toml:"name"`
	URL      string `toml:"url"`
	Explicit bool   `toml:"explicit"`
	Priority string `toml:"priority"`
}

// readProject reads a pyproject.toml; what is not TOML says nothing, and uv
// or pip will say why.
func readProject(f *File) pyproject { return f.load().project() }

func parseProject(data []byte) pyproject {
	var p pyproject
	if err := toml.Unmarshal(data, &p); err != nil {
		return pyproject{}
	}
	return p
}

// uvLock is the part of a uv.lock that rules look at.
type uvLock struct {
	Packages []lockedPackage `toml:"package"`
}

type lockedPackage struct {
	Name    string `toml:"name"`
	Version string `toml:"version"`
	Source  struct {
		Editable string `toml:"editable"`
		Virtual  string `toml:"virtual"`
		Git      string `toml:"git"`
	} `toml:"source"`
	Metadata struct {
		Requires []lockedRequirement `toml:"requires-dist"`
	} `toml:"metadata"`
	SDist  map[string]any   `toml:"sdist"`
	Wheels []map[string]any `toml:"wheels"`
}

type lockedRequirement struct {
	Name      string `toml:"name"`
	Specifier string `toml:"specifier"`
	Marker    string `toml:"marker"`
}

// readLock reads a uv.lock; what is not TOML holds nothing.
func readLock(f *File) uvLock { return f.load().lock() }

func parseLock(data []byte) uvLock {
	var l uvLock
	if err := toml.Unmarshal(data, &l); err != nil {
		return uvLock{}
	}
	return l
}

// wheelNames are the file names of a package's wheels.
func (p lockedPackage) wheelNames() []string {
	var list []string
	for _, wheel := range p.Wheels {
		url, _ := wheel["url"].(string)
		if url == "" {
			url, _ = wheel["filename"].(string)
		}
		if url == "" {
			url, _ = wheel["path"].(string)
		}
		if url != "" {
			list = append(list, path.Base(url))
		}
	}
	return list
}
