package evidence

import (
	"crypto/ecdsa"
	"strings"
)

// Found are the documents that lie beside an image, whoever put them there.
type Found struct {
	Image      string   // digest, sha256:…
	SBOMs      [][]byte // of TypeSBOM
	Statements [][]byte // of TypeStatement
	Bundles    [][]byte // of TypeBundle
}

// Add takes in a document of one of the Types, and says how many it took: one
// or none.
func (f *Found) Add(kind string, text []byte) int {
	switch kind {
	case TypeSBOM:
		f.SBOMs = append(f.SBOMs, text)
	case TypeStatement:
		f.Statements = append(f.Statements, text)
	case TypeBundle:
		f.Bundles = append(f.Bundles, text)
	default:
		return 0
	}
	return 1
}

// Wanted is what the evidence is held against; a zero field is not.
type Wanted struct {
	Key        *ecdsa.PublicKey // then only what it has signed counts
	Repository string           // where the source comes from
	Commit     string           // which of it, or the beginning of that
	Identity   string           // of the model
}

// Judge holds the documents against the image and what is wanted. Anybody who
// may write to the registry may add documents, so that one good set is looked
// for among all; what is not good does no harm beside it.
func Judge(f Found, w Wanted) []Check {
	signed, checks := f.signed(w.Key)
	statements, provenance := f.provenance(signed, w.Key != nil)
	var best []Check
	for _, s := range statements {
		found := []Check{Checkf(CheckProvenance, Passed, "%s", sayProvenance(s)), source(s, w), f.sbom(s, true)}
		if best == nil || failures(found) < failures(best) {
			best = found
		}
	}
	if best == nil {
		best = []Check{provenance, f.sbom(Statement{}, false)}
	}
	return append(checks, best...)
}

func failures(checks []Check) int {
	n := 0
	for _, c := range checks {
		if c.Status == Failed {
			n++
		}
	}
	return n
}

// Bill is the bill of materials that passes Judge, or nil.
func (f Found) Bill(w Wanted) []byte {
	for _, bill := range f.SBOMs {
		one := f
		one.SBOMs = [][]byte{bill}
		for _, c := range Judge(one, w) {
			if c.Name == CheckSBOM && c.Status == Passed {
				return bill
			}
		}
	}
	return nil
}

// signed gives the statements that the key has signed.
func (f Found) signed(key *ecdsa.PublicKey) ([][]byte, []Check) {
	if key == nil && len(f.Bundles) > 0 {
		return nil, []Check{Checkf(CheckSignature, Skipped, "there is one, and no key to hold it against")}
	}
	if len(f.Bundles) == 0 {
		return nil, []Check{Checkf(CheckSignature, Missing, "nobody has signed this image")}
	}
	var good [][]byte
	reason := ""
	for _, sealed := range f.Bundles {
		statement, err := Open(sealed, key)
		if err != nil {
			reason = clip(err.Error())
			continue
		}
		good = append(good, statement)
	}
	if len(good) == 0 {
		return nil, []Check{Checkf(CheckSignature, Failed, "of %s none holds: %s", plural(len(f.Bundles), "signature"), reason)}
	}
	hint, err := Hint(key)
	if err != nil {
		return nil, []Check{Checkf(CheckSignature, Failed, "%v", err)}
	}
	return good, []Check{Checkf(CheckSignature, Passed, "by the key %s", hint)}
}

// provenance finds the statements that are about the image, with a key those
// that the key has signed; where there is none, the check says why.
func (f Found) provenance(signed [][]byte, keyed bool) ([]Statement, Check) {
	candidates := f.Statements
	if keyed {
		candidates = signed
	}
	if len(candidates) == 0 {
		if keyed && len(f.Statements) > 0 {
			return nil, Checkf(CheckProvenance, Missing, "there is some, but not signed by this key")
		}
		return nil, Checkf(CheckProvenance, Missing, "nobody says how this image was built")
	}
	var good []Statement
	reason := ""
	for _, text := range candidates {
		s, err := ParseStatement(text)
		switch {
		case err != nil:
			reason = clip(err.Error())
		case !s.About(f.Image):
			reason = "its subject is another image"
		default:
			good = append(good, s)
		}
	}
	return good, Checkf(CheckProvenance, Failed, "of %s none holds: %s", plural(len(candidates), "statement"), reason)
}

func sayProvenance(s Statement) string {
	builder := s.Predicate.RunDetails.Builder
	said := "built by " + clip(builder.ID)
	if version := builder.Version["towline"]; version != "" {
		said += " " + clip(version)
	}
	if m := s.Predicate.RunDetails.Metadata; m != nil && m.InvocationID != "" {
		said += " in " + clip(m.InvocationID)
	}
	return said
}

// source holds repository, commit and identity against those that are wanted.
func source(s Statement, w Wanted) Check {
	definition := s.Predicate.BuildDefinition
	repository, identity := definition.ExternalParameters.Repository, definition.InternalParameters.Identity
	switch {
	case w.Repository != "" && sameRepository(w.Repository) != sameRepository(repository):
		return Checkf(CheckSource, Failed, "found repository %q, wanted %q", clip(repository), w.Repository)
	case w.Commit != "" && !strings.HasPrefix(s.Commit(), w.Commit):
		return Checkf(CheckSource, Failed, "found commit %q, wanted %q", clip(s.Commit()), w.Commit)
	case w.Commit != "" && definition.InternalParameters.Changed:
		return Checkf(CheckSource, Failed, "found commit %q with changes that are not committed, wanted none", clip(s.Commit()))
	case w.Identity != "" && w.Identity != identity:
		return Checkf(CheckSource, Failed, "found identity %q, wanted %q", clip(identity), w.Identity)
	}
	said := "no repository is named"
	if repository != "" {
		said = clip(repository)
	}
	if commit := s.Commit(); commit != "" {
		said += " at commit " + clip(commit)
	}
	if definition.InternalParameters.Changed {
		said += ", with changes that are not committed"
	}
	if w == (Wanted{Key: w.Key}) {
		return Checkf(CheckSource, Skipped, "%s; nothing to hold it against", said)
	}
	return Checkf(CheckSource, Passed, "%s", said)
}

// sameRepository is a repository's address without what does not tell it from others.
func sameRepository(address string) string {
	address = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(address), "/"), ".git")
	return strings.ToLower(strings.TrimPrefix(address, "git+"))
}

// sbom finds a bill of materials of the image; where the provenance holds, it
// is the one that the provenance names.
func (f Found) sbom(s Statement, proven bool) Check {
	if len(f.SBOMs) == 0 {
		return Checkf(CheckSBOM, Missing, "nobody says what is in this image")
	}
	reason := ""
	for _, text := range f.SBOMs {
		image, components, err := described(text)
		switch {
		case err != nil:
			reason = clip(err.Error())
		case image != f.Image:
			reason = "it is about another image"
		case proven && !s.names(text):
			reason = "the provenance does not name it"
		default:
			return Checkf(CheckSBOM, Passed, "%s", plural(components, "component"))
		}
	}
	return Checkf(CheckSBOM, Failed, "of %s none holds: %s", plural(len(f.SBOMs), "bill of materials", "bills of materials"), reason)
}
