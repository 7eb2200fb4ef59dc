package release

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// candidate is the next release candidate of the version: core-rc.N, one more
// than any there is. A commit that carries one of them keeps it.
func (s *sums) candidate(core semver.Version) string {
	highest := uint64(0)
	for _, m := range s.marks {
		n, ok := candidateNumber(m.version, core)
		if !ok {
			continue
		}
		if m.Place == Here && !s.o.Retrain {
			s.say("this commit carries %s", m.Name)
			s.result.Released, s.result.Reused = false, true
			return m.version.Original()
		}
		highest = max(highest, n)
	}
	return fmt.Sprintf("%s-rc.%d", &core, highest+1)
}

// promote says so where the commit carries a candidate of the version: its
// image and its model become the release as they are.
func (s *sums) promote(core semver.Version) {
	for _, m := range s.marks {
		if _, ok := candidateNumber(m.version, core); ok && m.Place == Here && !s.o.Retrain {
			s.say("this commit carries %s, which becomes %s without a rebuild", m.Name, &core)
			s.result.Promoted = m.version.Original()
			return
		}
	}
}

// candidateNumber is the N of core-rc.N.
func candidateNumber(v, core semver.Version) (uint64, bool) {
	text, ok := strings.CutPrefix(v.Prerelease(), "rc.")
	if !ok || v.Major() != core.Major() || v.Minor() != core.Minor() || v.Patch() != core.Patch() {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 32)
	return n, err == nil
}
