// Package evidence is what can be said of an image beside the image itself:
// what is in it, how it was made, and who vouches for that.
//
// In come lists of what was found and what was done; out go a CycloneDX bill of
// materials, a SLSA provenance statement and a signed bundle, as bytes that
// depend on nothing but what came in. The other way round, in come such
// documents from anybody, and out goes which of their claims hold. It never
// reads an image, a key file or the clock, and never sends anything.
package evidence

// Media types of the documents; each is also the artifact type of the referrer
// that carries the document.
const (
	TypeSBOM      = "application/vnd.cyclonedx+json"
	TypeStatement = "application/vnd.in-toto+json"
	TypeBundle    = "application/vnd.dev.sigstore.bundle.v0.3+json"
)

// Types are the media types of every kind of document.
func Types() []string { return []string{TypeSBOM, TypeStatement, TypeBundle} }

// home is the address under which Towline names itself.
const home = "https://gitlab.com/towline/towline"
