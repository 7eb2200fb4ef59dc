package release

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Longest names, in characters.
const (
	sageMakerMax = 63  // [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}
	ociTagMax    = 128 // [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}
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
