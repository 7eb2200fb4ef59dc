package bundle

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/renameio/v2"

	"gitlab.com/towline/towline/pkg/evidence"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// Signer signs with a key that stays where it is: in memory, or in a service.
// A signer without a key of its own would bring a certificate instead of
// Public; see docs/decisions/0011-evidence-beside-the-image.md.
type Signer interface {
	// Sign gives the ECDSA signature over the message's SHA-256, in ASN.1.
	Sign(ctx context.Context, message []byte) ([]byte, error)
	// Public is the P-256 key that checks it.
	Public() *ecdsa.PublicKey
}

// Attest publishes evidence of an image that the registry has: a bill of
// materials, provenance and, with a signer (which may be nil), a signed bundle of the provenance,
// each as a document that refers to the image. What is there already is left
// alone. An image that was packaged elsewhere gets nothing new.
func (b *Bundler) Attest(ctx context.Context, a plan.Attest, by Signer) (plan.Receipt, error) {
	receipt, err := b.attest(ctx, a, by)
	return receipt, ended(ctx, "attest", err)
}

func (b *Bundler) attest(ctx context.Context, a plan.Attest, by Signer) (plan.Receipt, error) {
	repository, err := b.repository(a.Repository)
	if err != nil {
		return plan.Receipt{}, err
	}
	image, err := v1.NewHash(a.Digest.String())
	if err != nil {
		return plan.Receipt{}, err
	}
	r, err := b.reader(ctx, repository)
	if err != nil {
		return plan.Receipt{}, err
	}
	registry := r.shelf()
	there, _, err := registry.evidence(image)
	closed := refuses(err) && by == nil
	if err != nil && !closed {
		return plan.Receipt{}, err
	}
	if done, sbom := attested(there, by); done {
		return plan.Receipt{Said: "the registry has the evidence already"}, writeReport(a.Report, sbom)
	}
	if a.Layout == "" {
		return packagedElsewhere(a, there, by)
	}
	documents, err := b.documents(ctx, a, registry, image)
	if err != nil {
		return plan.Receipt{}, err
	}
	if err := documents.seal(ctx, by); err != nil {
		return plan.Receipt{}, err
	}
	if err := writeReport(a.Report, documents.sbom); err != nil || closed {
		return plan.Receipt{Said: onlyReported(a)}, err
	}
	return b.publish(ctx, a, r, documents)
}

// attested says whether all evidence is there: with a signer, signed by it.
func attested(there evidence.Found, by Signer) (bool, []byte) {
	wanted := evidence.Wanted{}
	if by != nil {
		wanted.Key = by.Public()
	}
	for _, c := range evidence.Judge(there, wanted) {
		relevant := c.Name != evidence.CheckSource && (c.Name != evidence.CheckSignature || wanted.Key != nil)
		if relevant && c.Status != evidence.Passed {
			return false, nil
		}
	}
	return true, there.Bill(wanted)
}

// packagedElsewhere keeps to what an earlier job published: how the image came
// about is not for this one to say.
func packagedElsewhere(a plan.Attest, there evidence.Found, by Signer) (plan.Receipt, error) {
	if by != nil {
		return plan.Receipt{}, fault.Newf(fault.Missing, "sign %s@%s: it was packaged elsewhere, and not signed with this key there", a.Repository, a.Digest).
			Hintf("pass --sign-key where the image is packaged and pushed, or hand on .towline/image from the job that did")
	}
	if len(there.SBOMs) == 0 {
		return plan.Receipt{Said: "nothing: the image was packaged elsewhere, and without evidence"}, nil
	}
	return plan.Receipt{Said: "as published where the image was packaged"}, writeReport(a.Report, there.Bill(evidence.Wanted{}))
}

// documents are the evidence of one image.
type documents struct {
	subject          v1.Descriptor
	sbom, provenance []byte
	bundle           []byte // nil without a signer
	components       int
}

func (b *Bundler) documents(ctx context.Context, a plan.Attest, registry shelf, image v1.Hash) (documents, error) {
	onDisk := layoutShelf(a.Layout)
	doc, err := onDisk.manifest(image.String())
	if err != nil {
		return documents{}, fault.Newf(fault.Missing, "attest %s: %w", a.Repository, err).Hintf("run: towline package")
	}
	d := documents{subject: v1.Descriptor{MediaType: doc.mediaType, Size: int64(len(doc.text)), Digest: image}}
	look := inventory{b: b, from: onDisk, otherwise: registry, notes: readNotes(a.Layout), earlier: map[string][][]byte{}}
	found, err := look.contents(ctx, image)
	if err != nil {
		return documents{}, err
	}
	found = evidence.WithWheels(found, wheelHashes(a))
	d.components = len(found)
	contents := evidence.Contents{
		Image: image.String(), Name: a.Project + "/" + a.Model, Version: a.Version, Platform: a.Inputs.Platform,
		Base: a.Inputs.Base, Distributions: found, Tool: b.o.Version,
	}
	if len(a.Inputs.Locks) > 0 {
		contents.InputFile = a.Inputs.Locks[0].Path
	}
	if d.sbom, err = evidence.SBOM(contents); err != nil {
		return documents{}, err
	}
	build := evidence.Build{
		Image: image.String(), Project: a.Project, Model: a.Model, Version: a.Version, Identity: a.Identity,
		Source: a.Source, Inputs: a.Inputs, SBOM: d.sbom, Tool: b.o.Version,
	}
	if d.provenance, err = build.Provenance(); err != nil {
		return documents{}, err
	}
	return d, nil
}

// seal signs the provenance, which names the bill of materials by its digest.
func (d *documents) seal(ctx context.Context, by Signer) error {
	if by == nil {
		return nil
	}
	sig, err := by.Sign(ctx, evidence.ToSign(d.provenance))
	if err != nil {
		return err
	}
	d.bundle, err = evidence.Seal(d.provenance, sig, by.Public())
	return err
}

// wheelHashes are those that the requirements file tells, if it is there and
// still what the image was built from.
func wheelHashes(a plan.Attest) map[string]string {
	for _, lock := range a.Inputs.Locks {
		file := filepath.Join(a.Root, filepath.FromSlash(path.Clean(lock.Path)))
		if text, err := os.ReadFile(file); err == nil && len(text) <= maxDocument && hexDigest(text) == lock.SHA256 {
			if hashes := evidence.WheelHashes(string(text)); len(hashes) > 0 {
				return hashes
			}
		}
	}
	return nil
}

func hexDigest(text []byte) string {
	sum := newMeter()
	_, _ = sum.Write(text)
	return sum.digest().Hex
}

// publish sends the documents. A registry that cannot hold them is no reason
// to fail, unless a signature was asked for.
func (b *Bundler) publish(ctx context.Context, a plan.Attest, r reader, d documents) (plan.Receipt, error) {
	pusher, err := remote.NewPusher(b.remote(ctx)...)
	if err != nil {
		return plan.Receipt{}, err
	}
	h := herald{reader: r, pusher: pusher, image: d.subject.Digest}
	said := fmt.Sprintf("bill of materials with %s, provenance", count(d.components, "component"))
	for _, document := range []struct {
		kind string
		text []byte
	}{{evidence.TypeSBOM, d.sbom}, {evidence.TypeStatement, d.provenance}, {evidence.TypeBundle, d.bundle}} {
		if document.text == nil {
			continue
		}
		sent, err := attach(d.subject, document.kind, document.text)
		if err != nil {
			return plan.Receipt{}, err
		}
		err = h.refer(ctx, sent)
		if refuses(err) && d.bundle == nil {
			b.o.Log(fmt.Sprintf("attest %s: %v", a.Repository, err))
			return plan.Receipt{Said: onlyReported(a)}, nil
		}
		if err != nil {
			return plan.Receipt{}, evidenceFault(a.Repository, err)
		}
	}
	if d.bundle != nil {
		said += ", signed with " + a.Key
	}
	return plan.Receipt{Said: said}, nil
}

func onlyReported(a plan.Attest) string {
	return "nothing: the registry cannot keep evidence beside an image, or not for this account; the bill of materials is in " + shown(a.Report)
}

func evidenceFault(repository string, err error) error {
	if errors.Is(err, errUnlisted) {
		return fault.Newf(fault.Conflict, "attest %s: %w", repository, err).Hintf("try again; if that does not help, the registry's tags may be immutable")
	}
	return registryFault("attest "+repository, err)
}

// writeReport leaves the bill of materials where GitLab collects it.
func writeReport(file string, sbom []byte) error {
	if file == "" || sbom == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return diskFault("write "+file, err)
	}
	return diskFault("write "+file, renameio.WriteFile(file, sbom, 0o644))
}

// shown is a file's last two folders and its name.
func shown(file string) string {
	parts := strings.Split(filepath.ToSlash(file), "/")
	return strings.Join(parts[max(0, len(parts)-3):], "/")
}
