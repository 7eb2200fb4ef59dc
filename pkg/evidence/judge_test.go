package evidence_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/evidence"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/release"
)

func newKey(t *testing.T) evidence.Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := evidence.ParseKey(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func build() evidence.Build {
	return evidence.Build{
		Image: image, Project: "shop", Model: "url-risk", Version: "1.2.3-cand.4", Identity: "abc", Tool: "0.1.0",
		Source: record.Source{
			Repository: "https://gitlab.example.com/shop/url-risk", Commit: strings.Repeat("e", 40), Ref: "main",
			Pipeline: "https://gitlab.example.com/p/1", Job: "https://gitlab.example.com/j/2",
		},
		Inputs: release.Inputs{
			Base: "registry.example.com/python@" + other, Platform: "linux/amd64", Python: "3.11", Layout: "1",
			Train: []string{"python", "train.py"}, TrainEnv: map[string]string{"PASSWORD": "hush"},
			Locks: []release.File{{Path: "requirements.txt", SHA256: strings.Repeat("f", 64)}},
			Data:  map[string]string{"train": "d"},
		},
	}
}

func provenance(t *testing.T, b evidence.Build) []byte {
	t.Helper()
	text, err := b.Provenance()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func sbom(t *testing.T, c evidence.Contents) []byte {
	t.Helper()
	text, err := evidence.SBOM(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func sealed(t *testing.T, key evidence.Key, statement []byte) []byte {
	t.Helper()
	sig, err := key.Sign(context.Background(), evidence.ToSign(statement))
	if err != nil {
		t.Fatal(err)
	}
	text, err := evidence.Seal(statement, sig, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestProvenance(t *testing.T) {
	text := provenance(t, build())
	if !bytes.Equal(text, provenance(t, build())) {
		t.Error("the same build gives other bytes")
	}
	if strings.Contains(string(text), "hush") {
		t.Errorf("the value of a variable is in the provenance:\n%s", text)
	}
	var s struct {
		Type          string
		PredicateType string
		Predicate     struct {
			BuildDefinition struct {
				ResolvedDependencies []evidence.Resource
				ExternalParameters   map[string]any
				InternalParameters   map[string]any
			}
			RunDetails struct {
				Builder  struct{ ID string }
				Metadata map[string]string
			}
		}
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	definition, details := s.Predicate.BuildDefinition, s.Predicate.RunDetails
	want := []evidence.Resource{
		{Name: "source", URI: "git+https://gitlab.example.com/shop/url-risk@main", Digest: map[string]string{"gitCommit": strings.Repeat("e", 40)}},
		{Name: "base image", URI: "oci://registry.example.com/python", Digest: map[string]string{"sha256": strings.TrimPrefix(other, "sha256:")}},
		{Name: "requirements.txt", Digest: map[string]string{"sha256": strings.Repeat("f", 64)}},
	}
	if diff := cmp.Diff(want, definition.ResolvedDependencies); diff != "" {
		t.Errorf("resolved dependencies (-want +got):\n%s", diff)
	}
	if definition.InternalParameters["identity"] != "abc" || definition.ExternalParameters["platform"] != "linux/amd64" {
		t.Errorf("parameters %v %v", definition.ExternalParameters, definition.InternalParameters)
	}
	if details.Metadata["invocationId"] != "https://gitlab.example.com/j/2" || s.PredicateType != "https://slsa.dev/provenance/v1" {
		t.Errorf("predicate %s, metadata %v", s.PredicateType, details.Metadata)
	}
}

// Go and the library of sigstore agree on what a signature is over.
func TestToSign(t *testing.T) {
	got := string(evidence.ToSign([]byte("hello world")))
	if want := "DSSEv1 28 application/vnd.in-toto+json 11 hello world"; got != want {
		t.Errorf("ToSign = %q, want %q", got, want)
	}
}

func TestOneKeyGivesOneSignature(t *testing.T) {
	key := newKey(t)
	if text := provenance(t, build()); !bytes.Equal(sealed(t, key, text), sealed(t, key, text)) {
		t.Error("signing twice gives two bundles")
	}
}

func TestKeys(t *testing.T) {
	good, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(good)
	if err != nil {
		t.Fatal(err)
	}
	large, err := x509.MarshalECPrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	asText := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for _, tt := range []struct{ name, text, want string }{
		{"the form of SEC 1", asText("EC PRIVATE KEY", sec1), ""},
		{"parameters before it", asText("EC PARAMETERS", []byte{6, 0}) + asText("EC PRIVATE KEY", sec1), ""},
		{"another curve", asText("EC PRIVATE KEY", large), "curve P-384, wanted P-256"},
		{"an encrypted key", asText("ENCRYPTED PRIVATE KEY", []byte("x")), "without a password"},
		{"a damaged key", asText("PRIVATE KEY", []byte("x")), "damaged"},
		{"no key", "hello", "found no private key"},
	} {
		_, err := evidence.ParseKey(tt.text)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: ParseKey = %v, want %q", tt.name, err, tt.want)
		}
	}
	der, err := x509.MarshalPKIXPublicKey(&good.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"PEM": asText("PUBLIC KEY", der), "DER": string(der), "the private key": asText("EC PRIVATE KEY", sec1)} {
		if public, err := evidence.ParsePublicKey([]byte(text)); err != nil || !public.Equal(&good.PublicKey) {
			t.Errorf("ParsePublicKey(%s) = %v, %v", name, public, err)
		}
	}
	if _, err := evidence.ParsePublicKey([]byte("hello")); err == nil {
		t.Error("ParsePublicKey takes anything")
	}
}

// outcome is a report in short.
func outcome(checks []evidence.Check) string {
	var words []string
	for _, c := range checks {
		words = append(words, c.Name+" "+string(c.Status))
	}
	return strings.Join(words, ", ")
}

func TestJudge(t *testing.T) {
	key, stranger := newKey(t), newKey(t)
	bill := sbom(t, contents())
	about := build()
	about.SBOM = bill
	good := provenance(t, about)
	elsewhere := about
	elsewhere.Image = other
	forged := about
	forged.Source.Repository = "https://evil.example.com/x"
	changed := about
	changed.Source.Dirty = true
	otherBill := contents()
	otherBill.Distributions = nil
	foreignBill := contents()
	foreignBill.Image = other
	keyed := evidence.Wanted{Key: key.Public(), Repository: "https://gitlab.example.com/shop/url-risk.git", Identity: "abc"}
	bundle := sealed(t, key, good)
	tampered := bytes.Replace(bundle, []byte(base64.StdEncoding.EncodeToString(good)), []byte(base64.StdEncoding.EncodeToString(provenance(t, forged))), 1)
	list := func(texts ...[]byte) [][]byte { return texts }
	for _, tt := range []struct {
		name   string
		found  evidence.Found
		wanted evidence.Wanted
		want   string
		text   string // somewhere in the checks
	}{
		{"everything, signed", evidence.Found{SBOMs: list(bill), Statements: list(good), Bundles: list(bundle)}, keyed,
			"signature passed, provenance passed, source passed, sbom passed", "at commit eeee"},
		{"everything, and no key at hand", evidence.Found{SBOMs: list(bill), Statements: list(good), Bundles: list(bundle)}, evidence.Wanted{},
			"signature skipped, provenance passed, source skipped, sbom passed", "no key to hold it against"},
		{"nothing", evidence.Found{}, keyed, "signature missing, provenance missing, sbom missing", "nobody has signed"},
		{"no signature", evidence.Found{SBOMs: list(bill), Statements: list(good)}, keyed,
			"signature missing, provenance missing, sbom passed", "not signed by this key"},
		{"another key", evidence.Found{SBOMs: list(bill), Statements: list(good), Bundles: list(sealed(t, stranger, good))}, keyed,
			"signature failed, provenance missing, sbom passed", "no signature in it is by this key"},
		{"a payload that was changed", evidence.Found{SBOMs: list(bill), Bundles: list(tampered)}, keyed,
			"signature failed, provenance missing, sbom passed", "none holds"},
		{"a signature of another image", evidence.Found{SBOMs: list(bill), Bundles: list(sealed(t, key, provenance(t, elsewhere)))}, keyed,
			"signature passed, provenance failed, sbom passed", "its subject is another image"},
		{"a stranger's documents beside ours", evidence.Found{
			SBOMs: list(sbom(t, otherBill), bill), Statements: list(provenance(t, forged), good),
			Bundles: list([]byte("{"), sealed(t, stranger, provenance(t, forged)), bundle),
		}, keyed, "signature passed, provenance passed, source passed, sbom passed", ""},
		{"a stranger's provenance, unsigned", evidence.Found{SBOMs: list(bill), Statements: list(provenance(t, forged))},
			evidence.Wanted{Repository: keyed.Repository}, "signature missing, provenance passed, source failed, sbom passed", "found repository \"https://evil"},
		{"another identity", evidence.Found{SBOMs: list(bill), Statements: list(good)},
			evidence.Wanted{Identity: "xyz"}, "signature missing, provenance passed, source failed, sbom passed", `found identity "abc", wanted "xyz"`},
		{"the commit that is wanted, by its beginning", evidence.Found{SBOMs: list(bill), Statements: list(good)},
			evidence.Wanted{Commit: "eeeeeee"}, "signature missing, provenance passed, source passed, sbom passed", "at commit eeee"},
		{"another commit", evidence.Found{SBOMs: list(bill), Statements: list(good)},
			evidence.Wanted{Commit: "eeeeeef"}, "signature missing, provenance passed, source failed, sbom passed", `wanted "eeeeeef"`},
		{"a commit with changes", evidence.Found{SBOMs: list(bill), Statements: list(provenance(t, changed))},
			evidence.Wanted{Commit: "eeeeeee"}, "signature missing, provenance passed, source failed, sbom passed", "changes that are not committed, wanted none"},
		{"a bill of materials that is not the one that was signed", evidence.Found{SBOMs: list(sbom(t, otherBill)), Bundles: list(bundle)}, keyed,
			"signature passed, provenance passed, source passed, sbom failed", "the provenance does not name it"},
		{"a bill of materials of another image", evidence.Found{SBOMs: list(sbom(t, foreignBill))}, evidence.Wanted{},
			"signature missing, provenance missing, sbom failed", "about another image"},
		{"documents that are none", evidence.Found{SBOMs: list([]byte(`{"bomFormat": "x\u0000y"}`)), Statements: list([]byte("[]")), Bundles: list([]byte(`{}`))}, keyed,
			"signature failed, provenance missing, sbom failed", `"x y"`},
		{"a statement about something else", evidence.Found{Statements: list([]byte(`{"_type": "https://in-toto.io/Statement/v1", "predicateType": "x"}`))}, evidence.Wanted{},
			"signature missing, provenance failed, sbom missing", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.found.Image = image
			checks := evidence.Judge(tt.found, tt.wanted)
			if diff := cmp.Diff(tt.want, outcome(checks)); diff != "" {
				t.Errorf("Judge (-want +got):\n%s", diff)
			}
			var texts strings.Builder
			for _, c := range checks {
				texts.WriteString(c.Text + "\n")
			}
			if !strings.Contains(texts.String(), tt.text) {
				t.Errorf("Judge says\n%swant %q", texts.String(), tt.text)
			}
		})
	}
}

func TestReportErr(t *testing.T) {
	passed := evidence.Checkf(evidence.CheckManifest, evidence.Passed, "")
	failed := evidence.Checkf(evidence.CheckLayer, evidence.Failed, "x")
	missing := evidence.Checkf(evidence.CheckSignature, evidence.Missing, "y")
	for _, tt := range []struct {
		name     string
		checks   []evidence.Check
		required []string
		want     fault.Kind
	}{
		{"all is well", []evidence.Check{passed}, []string{"signature"}, 0},
		{"something is missing that nobody asked for", []evidence.Check{passed, missing}, []string{"sbom"}, 0},
		{"something is missing", []evidence.Check{passed, missing}, []string{"signature"}, fault.Missing},
		{"something does not hold", []evidence.Check{failed, missing}, []string{"signature"}, fault.Repository},
	} {
		err := evidence.Report{Checks: tt.checks}.Err(tt.required)
		if (err == nil) != (tt.want == 0) || err != nil && fault.KindOf(err) != tt.want {
			t.Errorf("%s: %v, want kind %d", tt.name, err, tt.want)
		}
	}
}

func FuzzJudge(f *testing.F) {
	f.Add([]byte(`{"bomFormat": "CycloneDX"}`), []byte(`{"mediaType": "x", "dsseEnvelope": {"payload": "e30="}}`))
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		found := evidence.Found{Image: image, SBOMs: [][]byte{a}, Statements: [][]byte{a, b}, Bundles: [][]byte{b}}
		for _, c := range evidence.Judge(found, evidence.Wanted{Key: &private.PublicKey}) {
			if c.Status == evidence.Passed && c.Name == evidence.CheckSignature {
				t.Errorf("a made-up signature holds: %q", b)
			}
		}
	})
}
