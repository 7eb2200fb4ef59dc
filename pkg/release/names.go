package release

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/fault"
)

// Longest names, in characters.
const (
	sageMakerMax = 63  // [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}
	ociTagMax    = 128 // [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}

	airflowRunMax  = 24
	airflowPathMax = 49 // run and DAG together
	airflowRunMin  = 12 // room for a few characters and a hash
)

// SageMakerName joins the parts into a name that SageMaker accepts: at most 63
// letters, digits and dashes. What does not fit is cut, and marked with six
// digits of the whole name's hash.
func SageMakerName(parts ...string) string { return SageMakerNameMax(sageMakerMax, parts...) }

// SageMakerNameMax is SageMakerName for a service with another limit, which is
// at least 8.
func SageMakerNameMax(limit int, parts ...string) string {
	exact := strings.Join(parts, "-")
	name := strings.Trim(strings.Map(dashed, exact), "-")
	if name == "" {
		name = "x" + "-" + shortHash(exact)
	}
	return cut(name, exact, limit)
}

var mapped = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\d+)-(\d+)-(\d+)(?:-(rc|cand)-(\d+)|-dev-([0-9a-fx]{1,9})|-mr-(\d+)-(\d+)|-(.+)-(\d+))?$`)
})

// FromSageMakerVersion is the version, of those that Towline makes, that
// SageMakerName mapped to this name; not ok for another name, or one that was cut.
func FromSageMakerVersion(name string) (string, bool) {
	m := mapped().FindStringSubmatch(name)
	if m == nil {
		return "", false
	}
	version := m[1] + "." + m[2] + "." + m[3]
	switch {
	case m[4] != "":
		version += "-" + m[4] + "." + m[5]
	case m[6] != "":
		version += "-dev." + m[6]
	case m[7] != "":
		version += "-mr." + m[7] + "." + m[8]
	case m[9] != "":
		version += "-" + m[9] + "." + m[10]
	}
	return version, Valid(version)
}

// dashed maps what SageMaker refuses to a dash.
func dashed(r rune) rune {
	if alphanumeric(r) {
		return r
	}
	return '-'
}

// cut shortens a name to the limit, and marks it with a hash of the exact text.
func cut(name, exact string, limit int) string {
	if len(name) <= limit {
		return name
	}
	hash := "-" + shortHash(exact)
	return strings.TrimRight(name[:limit-len(hash)], "-._") + hash
}

// shortHash is the first six hexadecimal digits of the text's sha256.
func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:3])
}

// OCITag is the version as an image tag. A plus sign, which a tag may not
// hold, becomes an underscore, which a version does not hold.
func OCITag(version string) string {
	return cut(strings.ReplaceAll(version, "+", "_"), version, ociTagMax)
}

// FromOCITag is the version that OCITag made the tag of; not ok if the tag is
// none of a version.
func FromOCITag(tag string) (string, bool) {
	version := strings.Replace(tag, "_", "+", 1)
	return version, Valid(version)
}

// GitLabVersion is the version as GitLab's package and model registries take
// it: without build metadata, since two versions that differ in nothing else
// would be one.
func GitLabVersion(version string) (string, error) {
	if !Valid(version) {
		return "", notVersion(version)
	}
	plain, _, _ := strings.Cut(version, "+")
	return plain, nil
}

// MovingTags are the image tags that follow a line of versions and now belong
// to this one: X.Y, X and latest, each if it is the highest stable version of
// its line among the component's tags.
func MovingTags(c Component, version string, tags []Tag) []string {
	v, ok := parse(version)
	if !ok || v.Prerelease() != "" {
		return nil
	}
	minor, major, all := true, true, true
	for _, m := range c.marks(tags) {
		if !m.stable() || !m.version.GreaterThan(&v) {
			continue
		}
		all = false
		if m.version.Major() == v.Major() {
			major = false
			minor = minor && m.version.Minor() != v.Minor()
		}
	}
	var moving []string
	if minor {
		moving = append(moving, fmt.Sprintf("%d.%d", v.Major(), v.Minor()))
	}
	if major {
		moving = append(moving, strconv.FormatUint(v.Major(), 10))
	}
	if all {
		moving = append(moving, "latest")
	}
	return moving
}

// AirflowRunID joins the parts into the id of a DAG run: at most 24
// characters, and at most 49 together with the DAG's name, since the service
// takes paths of no more than 64. Where the DAG's name leaves too little room
// for an id, that is an error.
func AirflowRunID(dag string, parts ...string) (string, error) {
	limit := min(airflowRunMax, airflowPathMax-len(dag))
	if limit < airflowRunMin {
		return "", fault.Newf(fault.Repository, "run of DAG %s: its name has %d characters, wanted at most %d",
			dag, len(dag), airflowPathMax-airflowRunMin).Hintf("give the DAG a shorter name")
	}
	exact := strings.Join(parts, "-")
	name := strings.Trim(strings.Map(airflowRune, exact), "-")
	if name == "" {
		name = "x-" + shortHash(exact)
	}
	return cut(name, exact, limit), nil
}

func airflowRune(r rune) rune {
	if alphanumeric(r) || r == '.' || r == '_' {
		return r
	}
	return '-'
}
