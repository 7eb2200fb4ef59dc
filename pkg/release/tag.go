package release

import (
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// parse reads a strict semantic version: three numbers, no leading zeros.
func parse(text string) (semver.Version, bool) {
	v, err := semver.StrictNewVersion(text)
	if err != nil {
		return semver.Version{}, false
	}
	return *v, true
}

// Valid says whether the text is a strict semantic version.
func Valid(version string) bool {
	_, ok := parse(version)
	return ok
}

// Compare orders two versions by precedence: negative if a comes before b.
// What is not a version comes before every version.
func Compare(a, b string) int {
	va, oka := parse(a)
	vb, okb := parse(b)
	switch {
	case oka && okb:
		return va.Compare(&vb)
	case oka:
		return 1
	case okb:
		return -1
	}
	return strings.Compare(a, b)
}

// mark is a tag of the component, with its version.
type mark struct {
	Tag
	version semver.Version
}

func (m mark) stable() bool { return m.version.Prerelease() == "" }

// reaches says whether the tag counts for the commit in question.
func (m mark) reaches() bool { return m.Place == Here || m.Place == Ancestor }

// marks are the component's tags among the given ones, highest first. Of two
// that differ in build metadata alone, the one made later is the higher.
func (c Component) marks(tags []Tag) []mark {
	var found []mark
	for _, tag := range tags {
		rest, ok := strings.CutPrefix(tag.Name, c.Prefix)
		if !ok {
			continue
		}
		if version, ok := parse(rest); ok {
			found = append(found, mark{tag, version})
		}
	}
	slices.SortFunc(found, func(a, b mark) int {
		if order := b.version.Compare(&a.version); order != 0 {
			return order
		}
		if a.Created != b.Created {
			return compareInt(b.Created, a.Created)
		}
		return strings.Compare(b.Name, a.Name)
	})
	return found
}

func compareInt(a, b int64) int {
	if a < b {
		return -1
	}
	return 1
}

// VersionOf is the version that a tag of that name marks; not ok for a tag
// that is none of the component's.
func (c Component) VersionOf(tag string) (string, bool) {
	rest, ok := strings.CutPrefix(tag, c.Prefix)
	if !ok || !Valid(rest) {
		return "", false
	}
	return rest, true
}

// StableTags are the component's tags of stable versions, highest first. The
// first of them that is the commit in question or an ancestor is its base.
func (c Component) StableTags(tags []Tag) []Tag {
	var stable []Tag
	for _, m := range c.marks(tags) {
		if m.stable() {
			stable = append(stable, m.Tag)
		}
	}
	return stable
}
