package release

import (
	"github.com/Masterminds/semver/v3"

	"gitlab.com/towline/towline/pkg/fault"
)

// checkOptions refuses what could give no sensible version.
func checkOptions(c Component, o Options) error {
	if o.ReleaseAs != "" && !stableVersion(o.ReleaseAs) {
		return fault.Newf(fault.Usage, "release as %q: wanted a version X.Y.Z", o.ReleaseAs).
			Hintf("give three numbers without a v, such as 2.0.0")
	}
	if !stableVersion(c.Initial) {
		return fault.Newf(fault.Repository, "first version of %s: found %q, wanted X.Y.Z", c.Name, c.Initial).
			Hintf("give three numbers without a v, such as 0.1.0")
	}
	for kind, bump := range c.Bumps {
		if _, ok := ParseBump(bump); !ok {
			return fault.Newf(fault.Repository, "bump of %s for commits of type %s: found %q, wanted none, patch, minor or major", c.Name, kind, bump)
		}
	}
	if c.Always != "" && c.Always != Patch.String() {
		return fault.Newf(fault.Repository, "bump of %s for no relevant commit: found %q, wanted patch or nothing", c.Name, c.Always)
	}
	if o.Channel != Stable && o.Channel != ReleaseCandidate {
		return fault.Newf(fault.Usage, "channel %q: wanted none or %q", o.Channel, ReleaseCandidate)
	}
	return nil
}

func stableVersion(text string) bool {
	v, ok := parse(text)
	return ok && v.Prerelease() == "" && v.Metadata() == ""
}

// override is the version that the caller or a Release-As footer demands, or nil.
func (s *sums) override() (*semver.Version, error) {
	if s.o.ReleaseAs != "" {
		s.say("asked to release as %s", s.o.ReleaseAs)
		return s.demand(s.o.ReleaseAs, "the command line", fault.Usage)
	}
	for _, commit := range s.commit {
		if commit.message.ReleaseAs == "" || !s.mayDemand(commit) {
			continue
		}
		s.result.Reasons = append(s.result.Reasons, Reason{
			Commit: commit.Hash, Header: commit.message.Subject, Text: "Release-As: " + commit.message.ReleaseAs,
		})
		return s.demand(commit.message.ReleaseAs, "commit "+short(commit.Hash), fault.Repository)
	}
	return nil, nil
}

// mayDemand says whether a commit's Release-As is meant for this component: it
// changes the component, or changes nothing and names it as its scope.
func (s *sums) mayDemand(w weighed) bool {
	if w.dropped != "" {
		return false
	}
	if w.Empty {
		return len(w.message.Headers) > 0 && w.message.Headers[0].has(s.c.Name)
	}
	return w.Touches
}

// demand checks that a version asked for is after the base and not in use.
func (s *sums) demand(version, by string, kind fault.Kind) (*semver.Version, error) {
	if !stableVersion(version) {
		return nil, fault.Newf(kind, "release %s as %q, by %s: wanted a version X.Y.Z", s.c.Name, version, by).
			Hintf("commit with a footer such as Release-As: 2.0.0; the newest one counts")
	}
	v, _ := parse(version)
	if s.base != nil && !v.GreaterThan(&s.base.version) {
		return nil, fault.Newf(kind, "release %s as %s, by %s: it does not exceed the base %s", s.c.Name, version, by, s.base.Name).
			Hintf("ask for a version after %s; of several Release-As footers the newest counts", s.result.Base)
	}
	for _, m := range s.marks {
		if m.version.Equal(&v) {
			return nil, fault.Newf(kind, "release %s as %s, by %s: tag %s exists, on %s", s.c.Name, version, by, m.Name, short(m.Commit)).
				Hintf("ask for a version that is not in use; of several Release-As footers the newest counts")
		}
	}
	return &v, nil
}

// free refuses a version that another branch has used or passed by.
func (s *sums) free(next semver.Version) error {
	for _, m := range s.marks {
		outside := m.stable() && !m.reaches()
		afterBase := s.base == nil || m.version.GreaterThan(&s.base.version)
		if outside && afterBase && !next.LessThan(&m.version) {
			return fault.Newf(fault.Repository, "version %s of %s: tag %s is on another branch, at %s, and is not after it",
				&next, s.c.Name, m.Name, short(m.Commit)).
				Hintf("merge %s into this branch, or say which version it shall be with Release-As", m.Name)
		}
	}
	return nil
}
