package release

import (
	"fmt"

	"github.com/Masterminds/semver/v3"
)

// Compute is the next version of the component at a commit, with all it rests
// on. It is a function of its arguments and of nothing else.
func Compute(c Component, h History, o Options) (Result, error) {
	s, err := newSums(c, h, o)
	if err != nil {
		return Result{}, err
	}
	if s.settled() {
		return s.result, nil
	}
	bump, forced, err := s.asked()
	if err != nil {
		return Result{}, err
	}
	return s.conclude(bump, forced)
}

// ComputeLinked is Compute for components that are released together: the
// most that any of them asks for is what all of them get. Histories and
// results are in the order of the components.
func ComputeLinked(components []Component, histories []History, o Options) ([]Result, error) {
	all := make([]*sums, len(components))
	forced := make([]*semver.Version, len(components))
	results := make([]Result, len(components))
	most, who := None, ""
	for i, c := range components {
		s, err := newSums(c, histories[i], o)
		if err != nil {
			return nil, err
		}
		if s.settled() {
			results[i] = s.result
			continue
		}
		bump, version, err := s.asked()
		if err != nil {
			return nil, err
		}
		all[i], forced[i] = s, version
		if bump > most {
			most, who = bump, c.Name
		}
	}
	for i, s := range all {
		if s == nil {
			continue
		}
		if most > None && who != s.c.Name {
			s.say("linked with %s, which asks for %s", who, most)
		}
		var err error
		if results[i], err = s.conclude(most, forced[i]); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// sums is a computation under way.
type sums struct {
	c      Component
	h      History
	o      Options
	marks  []mark
	base   *mark // nil before the first version
	commit []weighed
	result Result
}

func newSums(c Component, h History, o Options) (*sums, error) {
	initial := c.Initial
	if initial == "" {
		c.Initial = DefaultInitial
	}
	if err := checkOptions(c, o); err != nil {
		return nil, err
	}
	s := &sums{c: c, h: h, o: o, marks: c.marks(h.Tags), commit: weigh(h.Commits)}
	s.result = Result{Component: c.Name, Exact: h.Exact, Bump: None.String(), Reasons: []Reason{}}
	for i := range s.marks {
		if s.marks[i].stable() && s.marks[i].reaches() {
			s.base = &s.marks[i]
			break
		}
	}
	if s.base == nil {
		s.say("no tag %sX.Y.Z in the history of this commit: the first version is %s", c.Prefix, c.Initial)
		return s, nil
	}
	s.result.Base, s.result.BaseTag = s.base.version.Original(), s.base.Name
	s.result.BaseCommit = s.base.Commit
	s.say("tag %s on %s is the highest stable version in the history of this commit", s.base.Name, short(s.base.Commit))
	return s, nil
}

// settled says whether nothing is to be released, whatever the commits ask for.
func (s *sums) settled() bool { return s.reuse() || s.superseded() }

// asked is the bump that commits, a retraining or an override ask for; the
// last one also says to which version.
func (s *sums) asked() (Bump, *semver.Version, error) {
	bump := s.commitBump()
	if s.o.Retrain {
		bump = s.retrainBump(bump)
	}
	forced, err := s.override()
	if err == nil && forced != nil && s.base != nil {
		bump = between(s.base.version, *forced)
	}
	return bump, forced, err
}

// say adds a reason that no commit gave.
func (s *sums) say(format string, args ...any) {
	s.result.Reasons = append(s.result.Reasons, Reason{Text: fmt.Sprintf(format, args...)})
}

// settle writes down the version where nothing is to be released.
func (s *sums) settle(version semver.Version) {
	s.result.Version = version.Original()
	s.result.Tag = s.c.TagName(s.result.Version)
	s.result.Next = s.afterBase().String()
}

// afterBase is the least version after the base: the next patch, or the first version.
func (s *sums) afterBase() semver.Version {
	if s.base == nil {
		return s.initial()
	}
	return Next(s.base.version, Patch)
}

func (s *sums) initial() semver.Version {
	v, _ := parse(s.c.Initial)
	return v
}

// reuse settles on a version that exists already: the commit carries its tag,
// or the very same model was released before.
func (s *sums) reuse() bool {
	if s.o.Retrain {
		return false
	}
	m, why, ok := s.released()
	if !ok || s.o.ReleaseAs != "" && s.o.ReleaseAs != m.version.Original() {
		return false
	}
	s.say("%s", why)
	s.result.Reused = true
	s.settle(m.version)
	return true
}

// released finds the stable tag that stands for what is asked about.
func (s *sums) released() (mark, string, bool) {
	here, tagged := s.stableAt(Here)
	if s.o.Identity == "" {
		return here, fmt.Sprintf("this commit carries %s: it is released already", here.Name), tagged
	}
	for _, m := range s.marks {
		if m.stable() && m.identity() == s.o.Identity {
			return m, fmt.Sprintf("%s is this very model, identity %s: nothing new to release", m.Name, short(s.o.Identity)), true
		}
	}
	if tagged && here.identity() != "" {
		s.o.Retrain = true
		s.say("this commit carries %s, but of another model: code, data or parameters differ", here.Name)
		return mark{}, "", false
	}
	return here, fmt.Sprintf("this commit carries %s: it is released already", here.Name), tagged
}

// stableAt is the highest stable tag at that place.
func (s *sums) stableAt(p Place) (mark, bool) {
	for _, m := range s.marks {
		if m.stable() && m.Place == p {
			return m, true
		}
	}
	return mark{}, false
}

// superseded settles on the base where a later commit is released already.
func (s *sums) superseded() bool {
	later, ok := s.stableAt(Descendant)
	if !ok {
		return false
	}
	s.say("%s is on a later commit, which contains this one: it is superseded", later.Name)
	s.result.Superseded = true
	if s.base == nil {
		s.settle(s.initial())
		return true
	}
	s.settle(s.base.version)
	return true
}

// commitBump is the most that any commit since the base asks for.
func (s *sums) commitBump() Bump {
	most := None
	for _, commit := range s.commit {
		if !commit.Touches {
			continue
		}
		for _, reason := range commit.reasons(s.c) {
			bump, _ := ParseBump(reason.Bump)
			most = max(most, bump)
			s.result.Reasons = append(s.result.Reasons, reason)
		}
		if warning := commit.warning(); warning != "" {
			s.result.Warnings = append(s.result.Warnings, warning)
		}
	}
	if always, ok := ParseBump(s.c.Always); ok && most < always && s.base != nil {
		most = always
		s.say("no commit asks for more: always releases a %s", always)
	}
	return most
}

// retrainBump is what a new model asks for: a patch, more if its signature
// changed, and never less than the commits ask for.
func (s *sums) retrainBump(commits Bump) Bump {
	s.say("a retrained model asks for patch")
	if s.o.Raise > Patch {
		s.say("its inputs or outputs changed, which asks for %s", s.o.Raise)
	}
	return max(commits, Patch, s.o.Raise)
}

// conclude turns the bump into a version, unless that is forced.
func (s *sums) conclude(bump Bump, forced *semver.Version) (Result, error) {
	switch {
	case forced != nil:
		return s.release(*forced)
	case s.base == nil:
		if err := s.free(s.initial()); err != nil {
			return Result{}, err
		}
		return s.release(s.initial())
	case bump == None:
		s.say("no commit since %s asks for a release", s.base.Name)
		s.settle(s.base.version)
		return s.result, nil
	}
	next := Next(s.base.version, bump)
	if s.base.version.Major() == 0 && bump == Major {
		s.say("before 1.0.0 a breaking change is a minor one")
	}
	if err := s.free(next); err != nil {
		return Result{}, err
	}
	return s.release(next)
}

// release writes down the version to be released.
func (s *sums) release(next semver.Version) (Result, error) {
	s.result.Released = true
	s.result.Bump = "initial"
	if s.base != nil {
		s.result.Bump = between(s.base.version, next).String()
	}
	version := next.String()
	if s.o.Channel == ReleaseCandidate {
		version = s.candidate(next)
	} else {
		s.promote(next)
	}
	s.result.Version, s.result.Next, s.result.Tag = version, next.String(), s.c.TagName(version)
	return s.result, nil
}
