package release

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/fault"
)

// PEP440 is the version as Python packages write it: 1.2.0-rc.1 is 1.2.0rc1.
// What else comes before a release is a development version, with what
// distinguishes it behind a plus sign. FromPEP440 leads back.
func PEP440(version string) (string, error) {
	v, ok := parse(version)
	if !ok {
		return "", notVersion(version)
	}
	core := fmt.Sprintf("%d.%d.%d", v.Major(), v.Minor(), v.Patch())
	local := strings.ReplaceAll(v.Metadata(), "-", "_")
	if v.Prerelease() == "" {
		if local != "" {
			core += "+" + local
		}
		return core, nil
	}
	if local != "" {
		return "", fault.Newf(fault.Usage, "version %s for Python: it is a prerelease with build metadata", version).
			Hintf("leave out what stands behind the plus sign")
	}
	kind, rest, _ := strings.Cut(v.Prerelease(), ".")
	if digits(rest) && rest != "" {
		switch kind {
		case "rc":
			return core + "rc" + rest, nil
		case "cand":
			return core + ".dev" + rest, nil
		}
	}
	return core + ".dev0+" + strings.ReplaceAll(v.Prerelease(), "-", "_"), nil
}

var pep440 = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\d+\.\d+\.\d+)(?:(rc|\.dev)(\d+))?(?:\+([0-9A-Za-z._]+))?$`)
})

// FromPEP440 is the version that PEP440 wrote so; not ok for another one.
func FromPEP440(text string) (string, bool) {
	m := pep440().FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	core, kind, n, local := m[1], m[2], m[3], strings.ReplaceAll(m[4], "_", "-")
	version := core
	switch {
	case kind == "" && local != "":
		version = core + "+" + local
	case kind == "rc" && local == "":
		version = core + "-rc." + n
	case kind == ".dev" && local == "":
		version = core + "-cand." + n
	case kind == ".dev" && n == "0":
		version = core + "-" + local
	case kind != "":
		return "", false
	}
	back, err := PEP440(version)
	return version, err == nil && back == text
}

func notVersion(version string) error {
	return fault.Newf(fault.Usage, "version %q: wanted a semantic version such as 1.2.3", version)
}
