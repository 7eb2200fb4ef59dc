package bundle_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/evidence"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/release"
)

func signingKey(t *testing.T) evidence.Key {
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

// serveReferrers is serve with a registry that can be asked what refers to an image.
func serveReferrers(t *testing.T, o bundle.Options, before func(http.ResponseWriter, *http.Request) bool) (bundle.Options, string) {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before == nil || !before(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	o.Dial = map[string]string{stableName: address}
	return o, address
}

// published packages and pushes a repository, and gives what attests it.
func published(t *testing.T, o bundle.Options, a plan.Package) plan.Attest {
	t.Helper()
	digest := pack(t, o, a).Yields["digest"]
	push := plan.Push{Layout: a.Layout, Repository: stableName + "/shop/url-risk", Digest: plan.Text(digest), Tags: []string{"1.2.3"}}
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Fatal(err)
	}
	return plan.Attest{
		Layout: a.Layout, Repository: push.Repository, Digest: push.Digest, Root: a.Root,
		Report:  filepath.Join(t.TempDir(), "reports", "gl-sbom-url-risk.cdx.json"),
		Project: "shop", Model: "url-risk", Version: "1.2.3", Identity: "abc", Key: "key.pem",
		Source: record.Source{Repository: "https://gitlab.example.com/shop/url-risk", Commit: strings.Repeat("a", 40)},
		Inputs: release.Inputs{Base: "scratch", Platform: a.Platform, Python: a.Python},
	}
}

func attest(t *testing.T, o bundle.Options, a plan.Attest, by bundle.Signer) plan.Receipt {
	t.Helper()
	receipt, err := bundle.New(o).Attest(context.Background(), a, by)
	if err != nil {
		t.Fatalf("Attest: %v", err)
	}
	return receipt
}

// verdicts are a report in short: the name of each check that is not passed,
// and how it came out.
func verdicts(r evidence.Report) string {
	var words []string
	for _, c := range r.Checks {
		if c.Status != evidence.Passed {
			words = append(words, c.Name+" "+string(c.Status)+": "+c.Text)
		}
	}
	return strings.Join(words, "\n")
}

func verify(t *testing.T, o bundle.Options, image string, wanted evidence.Wanted) evidence.Report {
	t.Helper()
	report, err := bundle.New(o).Verify(context.Background(), bundle.Verification{Image: image, Wanted: wanted})
	if err != nil {
		t.Fatalf("Verify(%s): %v", image, err)
	}
	return report
}

func TestEvidenceLiesBesideTheImage(t *testing.T) {
	for name, start := range map[string]func(*testing.T, bundle.Options, func(http.ResponseWriter, *http.Request) bool) (bundle.Options, string){
		"a registry that lists referrers": serveReferrers,
		"a registry that needs a tag":     serve,
	} {
		t.Run(name, func(t *testing.T) {
			var sent int
			var mu sync.Mutex
			o, address := start(t, warm(t), uploadsSeen(&sent, &mu))
			a := published(t, o, action(t, repository(t)))
			key := signingKey(t)
			receipt := attest(t, o, a, key)
			if want := "bill of materials with 0 components, provenance, signed with key.pem"; receipt.Said != want {
				t.Errorf("said %q, want %q", receipt.Said, want)
			}
			sent = 0
			if receipt := attest(t, o, a, key); receipt.Said != "the registry has the evidence already" || sent != 0 {
				t.Errorf("the second time: %q after %d uploads", receipt.Said, sent)
			}
			wantReferrers(t, address, a.Digest.String(), 3)

			digest := a.Digest.String()
			wanted := evidence.Wanted{Key: key.Public(), Repository: a.Source.Repository, Identity: "abc"}
			for _, image := range []string{"@" + digest, ":1.2.3"} {
				report := verify(t, o, a.Repository+image, wanted)
				if bad := verdicts(report); bad != "" || report.Digest != digest {
					t.Errorf("%s is %s:\n%s", image, report.Digest, bad)
				}
			}
			stranger := evidence.Wanted{Key: signingKey(t).Public()}
			if bad := verdicts(verify(t, o, a.Repository+"@"+digest, stranger)); !strings.Contains(bad, "signature failed: of 1 signature none holds") {
				t.Errorf("a stranger's key:\n%s", bad)
			}
		})
	}
}

func wantReferrers(t *testing.T, address, digest string, n int) {
	t.Helper()
	reference, err := name.NewDigest(address + "/shop/url-risk@" + digest)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Referrers(reference)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range manifest.Manifests {
		if d.ArtifactType == "" {
			t.Errorf("%s has no artifact type", d.Digest)
		}
	}
	if len(manifest.Manifests) != n {
		t.Errorf("%d documents refer to the image, want %d", len(manifest.Manifests), n)
	}
}

// A signature that comes later, and an image that was packaged elsewhere.
func TestEvidenceIsCompleted(t *testing.T) {
	o, _ := serveReferrers(t, warm(t), nil)
	a := published(t, o, action(t, repository(t)))
	elsewhere := a
	elsewhere.Layout, elsewhere.Report = "", filepath.Join(t.TempDir(), "sbom.json")
	if receipt := attest(t, o, elsewhere, nil); !strings.HasPrefix(receipt.Said, "nothing: ") {
		t.Errorf("without a layout and evidence: %q", receipt.Said)
	}
	if receipt := attest(t, o, a, nil); receipt.Said != "bill of materials with 0 components, provenance" {
		t.Errorf("without a key: %q", receipt.Said)
	}
	if receipt := attest(t, o, elsewhere, nil); receipt.Said != "the registry has the evidence already" {
		t.Errorf("without a layout: %q", receipt.Said)
	}
	ours, err := os.ReadFile(a.Report)
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err := os.ReadFile(elsewhere.Report); err != nil || !bytes.Equal(ours, theirs) {
		t.Errorf("the report from the registry differs, %v", err)
	}
	key := signingKey(t)
	_, err = bundle.New(o).Attest(context.Background(), elsewhere, key)
	wantFault(t, err, fault.Missing, "packaged elsewhere", "hand on .towline/image")
	if receipt := attest(t, o, a, key); !strings.HasSuffix(receipt.Said, "signed with key.pem") {
		t.Errorf("with a key: %q", receipt.Said)
	}
}

func TestTheBillOfMaterialsTellsWhatIsInTheLayers(t *testing.T) {
	o, _ := serveReferrers(t, warm(t), nil)
	root := repository(t)
	withWheel(t, root)
	a := published(t, o, action(t, root))
	if receipt := attest(t, o, a, nil); receipt.Said != "bill of materials with 1 component, provenance" {
		t.Errorf("said %q", receipt.Said)
	}
	_, manifest, _ := readManifest(t, a.Layout)
	text, err := os.ReadFile(a.Report)
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		Components []struct {
			Name, Version, Purl string
			Properties          []struct{ Name, Value string }
		}
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	if len(bom.Components) != 1 || bom.Components[0].Purl != "pkg:pypi/towdep@1.0" {
		t.Fatalf("components %v, want towdep 1.0", bom.Components)
	}
	layer := ""
	for _, p := range bom.Components[0].Properties {
		if p.Name == "towline:layer" {
			layer = p.Value
		}
	}
	if layer != manifest.Layers[0].Digest.String() {
		t.Errorf("towdep is in layer %q, want %s", layer, manifest.Layers[0].Digest)
	}
}

func TestARegistryThatCannotKeepEvidence(t *testing.T) {
	immutable := `{"errors":[{"code":"TAG_INVALID","message":"The image tag already exists and cannot be overwritten because the repository is immutable"}]}`
	for _, tt := range []struct {
		name   string
		refuse func(http.ResponseWriter, *http.Request) bool
		kind   fault.Kind // with a key
	}{
		{"immutable tags and no list of referrers", answer("PUT", "/manifests/sha256-", 400, immutable), fault.Conflict},
		{"no right to ask", answer("GET", "/referrers/", 403, `{"errors":[{"code":"DENIED","message":"not you"}]}`), fault.Denied},
		{"no such artifacts", func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") || r.Header.Get("Content-Type") != "application/vnd.oci.image.manifest.v1+json" {
				return false
			}
			return answer("PUT", "/manifests/", 405, `{"errors":[{"code":"UNSUPPORTED","message":"artifacts are not supported"}]}`)(w, r)
		}, fault.Remote},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, _ := serve(t, warm(t), tt.refuse)
			a := published(t, o, action(t, repository(t)))
			receipt := attest(t, o, a, nil)
			if !strings.Contains(receipt.Said, "cannot keep evidence") {
				t.Errorf("without a key: %q", receipt.Said)
			}
			if _, err := os.Stat(a.Report); err != nil {
				t.Errorf("no report: %v", err)
			}
			_, err := bundle.New(o).Attest(context.Background(), a, signingKey(t))
			wantFault(t, err, tt.kind, stableName, "")
		})
	}
}

// What is in a layer is learnt when it is packed; from the layer, or from the
// evidence of the image that it was taken from, it is the same.
func TestTheBillOfMaterialsNeedsNoDownload(t *testing.T) {
	var mu sync.Mutex
	read := map[string]int{}
	o, _ := serveReferrers(t, warm(t), func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			read[filepath.Base(r.URL.Path)]++
		}
		return false
	})
	root := repository(t)
	withWheel(t, root)
	first := action(t, root)
	a := published(t, o, first)
	attest(t, o, a, nil)
	packedAs := components(t, a.Report)

	cold := o
	cold.Cache = t.TempDir()
	found := a
	found.Identity, found.Report = "another", filepath.Join(t.TempDir(), "found.json")
	attest(t, cold, withoutEvidence(t, cold, found), nil)
	if got := components(t, found.Report); got != packedAs {
		t.Errorf("found in the layer:\n%s\nlearnt when it was packed:\n%s", got, packedAs)
	}

	write(t, root, map[string]string{"train.py": "print('more')\n"})
	next := first
	next.Layout, next.Reuse = filepath.Join(t.TempDir(), "image"), []string{a.Repository + ":1.2.3"}
	fresh := o
	fresh.Cache = t.TempDir()
	b := published(t, fresh, next)
	_, manifest, _ := readManifest(t, b.Layout)
	dependencies := manifest.Layers[0].Digest
	if _, err := os.Stat(blobName(b.Layout, dependencies)); err == nil {
		t.Fatal("the layout has the layer of dependencies, which this test wants in the registry only")
	}
	mu.Lock()
	clear(read)
	mu.Unlock()
	attest(t, fresh, b, nil)
	if got := components(t, b.Report); got != packedAs {
		t.Errorf("told by the earlier image:\n%s\nlearnt when it was packed:\n%s", got, packedAs)
	}
	if n := read[dependencies.String()]; n > 0 {
		t.Errorf("the layer of dependencies was read %d times, want never", n)
	}
}

// withoutEvidence copies the image to a repository that has none.
func withoutEvidence(t *testing.T, o bundle.Options, a plan.Attest) plan.Attest {
	t.Helper()
	a.Repository = stableName + "/shop/copy"
	push := plan.Push{Layout: a.Layout, Repository: a.Repository, Digest: a.Digest}
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Fatal(err)
	}
	return a
}

// components are those of a bill of materials, without the image itself.
func components(t *testing.T, file string) string {
	t.Helper()
	var bom struct {
		Components   json.RawMessage `json:"components"`
		Dependencies []json.RawMessage
	}
	readJSON(t, file, &bom)
	return string(bom.Components) + fmt.Sprintf("%s", bom.Dependencies[1:])
}
