package bundle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/evidence"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// spoil answers a request for something of the repository with other bytes.
func spoil(part string, change func([]byte) []byte) func(http.Handler) http.Handler {
	return func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, part) {
				inner.ServeHTTP(w, r)
				return
			}
			answer := httptest.NewRecorder()
			inner.ServeHTTP(answer, r)
			body := change(answer.Body.Bytes())
			w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.WriteHeader(answer.Code)
			_, _ = w.Write(body)
		})
	}
}

func TestVerifyFindsWhatWasChanged(t *testing.T) {
	o := warm(t)
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	door := inner
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { door.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	o.Dial = map[string]string{stableName: server.Listener.Addr().String()}
	a := published(t, o, action(t, repository(t)))
	key := signingKey(t)
	attest(t, o, a, key)
	digest := a.Digest.String()
	_, manifest, _ := readManifest(t, a.Layout)
	layer, config := manifest.Layers[0].Digest.String(), manifest.Config.Digest.String()
	flip := func(text []byte) []byte {
		changed := bytes.Clone(text)
		changed[len(changed)/2] ^= 1
		return changed
	}
	cut := func(text []byte) []byte { return text[:len(text)-1] }
	longer := func(text []byte) []byte { return append(bytes.Clone(text), 'x') }
	replace := func(old, with string) func([]byte) []byte {
		return func(text []byte) []byte { return bytes.ReplaceAll(text, []byte(old), []byte(with)) }
	}
	for _, tt := range []struct {
		name   string
		part   string
		change func([]byte) []byte
		want   string
	}{
		{"a layer with another bit", "/blobs/" + layer, flip, "layer failed: " + layer + ": its content is sha256:"},
		{"a layer that is cut short", "/blobs/" + layer, cut, "layer failed: " + layer + ": it has not the"},
		{"a layer with more behind it", "/blobs/" + layer, longer, "layer failed: " + layer + ": it has not the"},
		{"a layer that is empty", "/blobs/" + layer, func([]byte) []byte { return nil }, "layer failed: " + layer},
		{"another configuration", "/blobs/" + config, flip, "config failed: " + config + ": not what it should be"},
		{"another manifest", "/manifests/" + digest, replace(`"size":`, `"size": `), "manifest failed: " + digest + ": not what it should be"},
		{"no manifest at all", "/manifests/" + digest, func([]byte) []byte { return []byte("[]") }, "manifest failed: " + digest},
		{"a list that leaves everything out", "/referrers/", func([]byte) []byte {
			return []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
		}, "signature missing: nobody has signed this image"},
		{"a list with more than anybody needs", "/referrers/", func([]byte) []byte {
			entry := `{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + digest + `","size":1},`
			return []byte(`{"schemaVersion":2,"manifests":[` + strings.Repeat(entry, 500) + strings.TrimSuffix(entry, ",") + `]}`)
		}, "error: read the list of referrers: 501, wanted at most 200"},
		{"a list that is huge", "/referrers/", func([]byte) []byte { return bytes.Repeat([]byte(" "), 9<<20) }, "error: read a document: it has more than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			door = spoil(tt.part, tt.change)(inner)
			report, err := bundle.New(o).Verify(context.Background(), bundle.Verification{
				Image: a.Repository + "@" + digest, Wanted: evidence.Wanted{Key: key.Public()},
			})
			got := verdicts(report)
			if err != nil {
				got = "error: " + err.Error()
			} else if report.Err([]string{evidence.CheckSignature}) == nil {
				t.Error("the report has no error")
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("found\n%s\nwant %q", got, tt.want)
			}
		})
	}
	door = inner
	if _, err := bundle.New(o).Verify(context.Background(), bundle.Verification{Image: a.Repository + ":none"}); fault.KindOf(err) != fault.Missing {
		t.Errorf("an image that is not there: %v", err)
	}
	if _, err := bundle.New(o).Verify(context.Background(), bundle.Verification{Image: "no image"}); fault.KindOf(err) != fault.Usage {
		t.Errorf("a name that is none: %v", err)
	}
}

// A document that refers to another image does not speak for this one.
func TestVerifyWantsTheRightSubject(t *testing.T) {
	o := warm(t)
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	var foreign string
	o, _ = serve(t, o, func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/referrers/") && foreign != "" {
			r.URL.Path = "/v2/shop/url-risk/referrers/" + foreign
		}
		inner.ServeHTTP(w, r)
		return true
	})
	first := action(t, repository(t))
	a := published(t, o, first)
	attest(t, o, a, nil)
	other := first
	other.Layout = filepath.Join(t.TempDir(), "other")
	other.Labels = map[string]string{"a": "b"}
	b := published(t, o, other)
	foreign = a.Digest.String()
	bad := verdicts(verify(t, o, b.Repository+"@"+b.Digest.String(), evidence.Wanted{}))
	if strings.Count(bad, "its subject is another image") != 2 || !strings.Contains(bad, "provenance missing") {
		t.Errorf("found\n%s\nwant two documents with another subject", bad)
	}
}

func TestVerifyOnDisk(t *testing.T) {
	o := warm(t)
	a := action(t, repository(t))
	digest := pack(t, o, a).Yields["digest"]
	_, manifest, _ := readManifest(t, a.Layout)
	report := verify(t, o, "oci:"+a.Layout, evidence.Wanted{})
	if err := report.Err(nil); err != nil || report.Digest != digest {
		t.Errorf("%s: %v\n%s", report.Digest, err, verdicts(report))
	}
	layer := blobName(a.Layout, manifest.Layers[0].Digest)
	text, err := os.ReadFile(layer)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(layer, text, 0o644); err != nil { //nolint:gosec // a test
		t.Fatal(err)
	}
	wantFault(t, verify(t, o, "oci:"+a.Layout, evidence.Wanted{}).Err(nil), fault.Repository, "1 check does not hold", "do not use this image")
	_, err = bundle.New(o).Verify(context.Background(), bundle.Verification{Image: "oci:" + t.TempDir()})
	wantFault(t, err, fault.Missing, "read image oci:", "OCI layout")
}

// An index is attested as a whole, and each of its images is read.
func TestEvidenceOfAnIndex(t *testing.T) {
	o, _ := serve(t, warm(t), nil)
	root := repository(t)
	first := action(t, root)
	first.Format, first.Platform = "index", "linux/amd64"
	first.Variants = []plan.Variant{{Base: "scratch", Platform: "linux/arm64"}}
	a := published(t, o, first)
	key := signingKey(t)
	attest(t, o, a, key)
	report := verify(t, o, a.Repository+":1.2.3", evidence.Wanted{Key: key.Public(), Identity: "abc"})
	if bad := verdicts(report); bad != "" {
		t.Error(bad)
	}
	var manifests []string
	for _, c := range report.Checks {
		if c.Name == evidence.CheckManifest {
			manifests = append(manifests, c.Text)
		}
	}
	if len(manifests) != 3 || !strings.Contains(manifests[2], "for linux/arm64") {
		t.Errorf("manifests %q, want the index and one for each platform", manifests)
	}
}

// A list of referrers that comes in pages is read to its end, on its own registry only.
func TestReferrersComeInPages(t *testing.T) {
	for _, tt := range []struct {
		name, next string
	}{
		{"a second page", `</v2/shop/url-risk/referrers/second>; rel="next"`},
		{"a second page elsewhere", `<http://127.0.0.1:1/v2/x>; rel="next"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var digest string
			var lists int
			inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
			o, _ := serve(t, warm(t), func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/referrers/") || digest == "" {
					inner.ServeHTTP(w, r)
					return true
				}
				lists++
				second := strings.HasSuffix(r.URL.Path, "second")
				r.URL.Path = "/v2/shop/url-risk/referrers/" + digest
				answer := httptest.NewRecorder()
				inner.ServeHTTP(answer, r)
				var index struct {
					SchemaVersion int               `json:"schemaVersion"`
					Manifests     []json.RawMessage `json:"manifests"`
				}
				if err := json.Unmarshal(answer.Body.Bytes(), &index); err != nil {
					t.Error(err)
				}
				// The registry lists them in any order, which pages cannot be cut from.
				slices.SortFunc(index.Manifests, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
				w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
				half := index.Manifests[1:]
				if !second {
					w.Header().Set("Link", tt.next)
					half = index.Manifests[:1]
				}
				index.Manifests = half
				if err := json.NewEncoder(w).Encode(index); err != nil {
					t.Error(err)
				}
				return true
			})
			a := published(t, o, action(t, repository(t)))
			attest(t, o, a, nil)
			digest = a.Digest.String()
			got := verdicts(verify(t, o, a.Repository+"@"+digest, evidence.Wanted{}))
			elsewhere := strings.HasSuffix(tt.name, "elsewhere")
			if strings.Contains(got, "missing: nobody says") != elsewhere {
				t.Errorf("after %d pages:\n%s", lists, got)
			}
		})
	}
}
