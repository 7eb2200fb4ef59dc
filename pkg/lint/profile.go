package lint

import (
	"maps"
	"slices"
	"strings"
)

// Detect finds the profile of a repository, and says why it is that one.
func Detect(r *Repo) (profile Profile, why string) {
	m, ok := r.Manifest()
	if ok {
		for _, name := range slices.Sorted(maps.Keys(m.Environments)) {
			if isProduction(name) {
				return Production, "towline.yaml has the environment " + name
			}
		}
	}
	_, pipeline := r.File(".gitlab-ci.yml")
	switch {
	case ok && len(m.Environments) > 0:
		return Team, "towline.yaml has environments, none of them for production"
	case pipeline:
		return Team, "there is a .gitlab-ci.yml"
	case !ok:
		return Prototype, "there is no valid towline.yaml and no .gitlab-ci.yml"
	}
	return Prototype, "towline.yaml has no environments, and there is no .gitlab-ci.yml"
}

// isProduction says whether an environment's name is one that is used for production.
func isProduction(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "-"), func(word string) bool {
		return word == "prod" || word == "production" || word == "prd" || word == "live"
	})
}

// FailOn is the severity from which on findings are an error, unless the
// manifest says otherwise: a prototype is stopped by blockers only.
func FailOn(p Profile) Severity {
	if p == Prototype {
		return Blocker
	}
	return Major
}
