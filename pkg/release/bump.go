package release

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Bump is how far a version moves.
type Bump int

// The bumps, from least to most.
const (
	None Bump = iota
	Patch
	Minor
	Major
)

var bumpNames = [...]string{"none", "patch", "minor", "major"}

func (b Bump) String() string {
	if b < None || b > Major {
		return fmt.Sprintf("bump(%d)", int(b))
	}
	return bumpNames[b]
}

// MarshalText writes the bump's name.
func (b Bump) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a bump's name.
func (b *Bump) UnmarshalText(text []byte) error {
	bump, ok := ParseBump(string(text))
	if !ok {
		return fmt.Errorf("bump %q: wanted none, patch, minor or major", text)
	}
	*b = bump
	return nil
}

// ParseBump reads none, patch, minor or major.
func ParseBump(text string) (Bump, bool) {
	for i, name := range bumpNames {
		if text == name {
			return Bump(i), true
		}
	}
	return None, false
}

// builtin says what each type of commit asks for; the others ask for nothing.
var builtin = map[string]Bump{
	"feat": Minor,
	"fix":  Patch, "perf": Patch, "revert": Patch,
	"data": Patch, "features": Patch, "train": Patch,
}

// bumpOf is what a commit of that type asks for, unless it breaks something.
func (c Component) bumpOf(kind string) Bump {
	kind = strings.ToLower(kind)
	for name, text := range c.Bumps {
		if bump, ok := ParseBump(text); ok && strings.ToLower(name) == kind {
			return bump
		}
	}
	return builtin[kind]
}

// Next is the version after v. Before 1.0.0 a breaking change is a minor one:
// 1.0.0 is never reached by itself.
func Next(v semver.Version, bump Bump) semver.Version {
	if v.Major() == 0 && bump == Major {
		bump = Minor
	}
	core := semver.New(v.Major(), v.Minor(), v.Patch(), "", "")
	switch bump {
	case Major:
		return core.IncMajor()
	case Minor:
		return core.IncMinor()
	case Patch:
		return core.IncPatch()
	}
	return *core
}

// between names the bump that leads from base to next.
func between(base, next semver.Version) Bump {
	switch {
	case next.Major() != base.Major():
		return Major
	case next.Minor() != base.Minor():
		return Minor
	case next.Patch() != base.Patch():
		return Patch
	}
	return None
}
