package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/evidence"
	"gitlab.com/towline/towline/pkg/fault"
)

// Verification is an image and what it is held against.
type Verification struct {
	Image  string // HOST/REPOSITORY@sha256:…, HOST/REPOSITORY:TAG or oci:FOLDER
	Wanted evidence.Wanted
}

// Verify reads an image whole, holds each part of it against the digest it is
// named by, and then the evidence beside it against the image. What does not
// hold is in the report; an error is what kept from looking.
func (b *Bundler) Verify(ctx context.Context, v Verification) (evidence.Report, error) {
	report, err := b.verify(ctx, v)
	return report, ended(ctx, "verify "+v.Image, err)
}

func (b *Bundler) verify(ctx context.Context, v Verification) (evidence.Report, error) {
	report := evidence.Report{Image: v.Image}
	s, err := b.shelf(ctx, v.Image)
	if err != nil {
		return report, err
	}
	reference, err := s.root()
	if err != nil {
		return report, err
	}
	doc, err := s.manifest(reference)
	if lost(err) {
		return report, fault.Newf(fault.Missing, "verify %s: there is no such image", v.Image).
			Hintf("check the name, and that the image was pushed")
	}
	if err != nil {
		return report, err
	}
	digest, err := v1.NewHash(reference)
	if err != nil { // a tag
		digest, _, _ = v1.SHA256(newReader(doc.text))
	}
	report.Digest = digest.String()
	c := &chain{shelf: s, ctx: ctx}
	if err := c.manifestAt(doc, digest, -1, ""); err != nil {
		return report, err
	}
	found, beside, err := s.evidence(digest)
	if err != nil {
		return report, err
	}
	report.Checks = slices.Concat(c.checks, beside, evidence.Judge(found, v.Wanted))
	return report, nil
}

// evidence reads the documents that refer to an image, and checks that each is
// whole and does refer to it.
func (s shelf) evidence(image v1.Hash) (evidence.Found, []evidence.Check, error) {
	found := evidence.Found{Image: image.String()}
	list, err := s.referrers(image)
	if err != nil {
		return found, nil, err
	}
	var checks []evidence.Check
	read := 0
	for _, d := range list {
		// Some registries list the configuration's type, or none.
		known := slices.Contains(evidence.Types(), d.ArtifactType)
		if !known && d.ArtifactType != "" && d.ArtifactType != string(emptyConfigType) {
			continue
		}
		kind, text, err := s.attachment(d, image)
		switch {
		case errors.Is(err, errTampered):
			checks = append(checks, evidence.Checkf(evidence.CheckReferrers, evidence.Failed, "%s: %v", d.Digest, err))
			continue
		case lost(err):
			checks = append(checks, evidence.Checkf(evidence.CheckReferrers, evidence.Failed, "%s: it is not there", d.Digest))
			continue
		case err != nil:
			return found, nil, err
		}
		read += found.Add(kind, text)
	}
	if len(checks) == 0 && read > 0 {
		checks = append(checks, evidence.Checkf(evidence.CheckReferrers, evidence.Passed, "%s refer to this image", count(read, "document")))
	}
	return found, checks, nil
}

// attachment reads the manifest of a referrer and the one document it carries.
func (s shelf) attachment(d v1.Descriptor, image v1.Hash) (kind string, text []byte, err error) {
	doc, err := s.manifest(d.Digest.String())
	if err != nil {
		return "", nil, err
	}
	if err := check(doc.text, d.Digest, -1); err != nil {
		return "", nil, err
	}
	var manifest referrer
	if err := json.Unmarshal(doc.text, &manifest); err != nil {
		return "", nil, fmt.Errorf("%w: %w", errTampered, err)
	}
	if !slices.Contains(evidence.Types(), manifest.ArtifactType) {
		return "", nil, nil
	}
	if manifest.Subject == nil || manifest.Subject.Digest != image {
		return "", nil, fmt.Errorf("%w: its subject is another image", errTampered)
	}
	if len(manifest.Layers) != 1 {
		return "", nil, fmt.Errorf("%w: it carries %d documents, wanted one", errTampered, len(manifest.Layers))
	}
	text, err = s.document(manifest.Layers[0])
	return manifest.ArtifactType, text, err
}
