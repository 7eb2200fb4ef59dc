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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/evidence"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/secret"
)

// ecr is a registry with the limits and the odd answers of Amazon's: a
// repository has to be created, tags are immutable but for the marker, an
// upload is one request, a mount is none, and a token ends.
type ecr struct {
	t       *testing.T
	inner   http.Handler
	mu      sync.Mutex
	created *plan.NewRepository
	tags    map[string]string // → digest
	patched map[string]bool   // uploads that had their one request
	tokens  int               // that were given
	uses    map[string]int    // of each token
	half    int               // uses after which a new token is asked for; twice as many end it. 0 is without end
	meet    *meeting          // of all who ask for a tag; may be nil
}

// meeting lets so many go on at the same time.
type meeting struct {
	mu      sync.Mutex
	missing int
	all     chan struct{}
}

func newMeeting(n int) *meeting { return &meeting{missing: n, all: make(chan struct{})} }

func (m *meeting) come() {
	m.mu.Lock()
	if m.missing--; m.missing == 0 {
		close(m.all)
	}
	m.mu.Unlock()
	select {
	case <-m.all:
	case <-time.After(10 * time.Second):
	}
}

// newECR starts one; whoever has the options is logged in to it.
func newECR(t *testing.T, o bundle.Options) (*ecr, bundle.Options) {
	t.Helper()
	e := &ecr{
		t: t, tags: map[string]string{}, uses: map[string]int{}, patched: map[string]bool{},
		inner: registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)),
	}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	o.Dial = map[string]string{stableName: server.Listener.Addr().String()}
	o.Credentials = func(context.Context, string) (bundle.Login, error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.tokens == 0 || e.half > 0 && e.uses[e.token()] >= e.half {
			e.tokens++
		}
		return bundle.Login{User: "AWS", Password: secret.New(e.token())}, nil
	}
	o.Create = func(_ context.Context, _ string, settings plan.NewRepository) error {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.created = &settings
		return nil
	}
	return e, o
}

func (e *ecr) token() string { return fmt.Sprintf("token-%d", e.tokens) }

func (e *ecr) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, last, _ := strings.Cut(r.URL.Path, "/manifests/")
	if e.meet != nil && r.Method == http.MethodHead && last != "" && !strings.HasPrefix(last, "sha256:") {
		e.meet.come()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case !e.admits(w, r):
	case e.created == nil && r.URL.Path != "/v2/":
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "The repository with name 'shop/url-risk' does not exist in the registry with id '111122223333'")
	case r.Method == http.MethodPost:
		r.URL.RawQuery = "" // nothing is mounted
		e.inner.ServeHTTP(w, r)
	case r.Method == http.MethodPatch:
		e.upload(w, r)
	case r.Method == http.MethodPut && last != "":
		e.putImage(w, r, last)
	default:
		e.inner.ServeHTTP(w, r)
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": code, "message": message}}})
}

func (e *ecr) admits(w http.ResponseWriter, r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	switch {
	case !ok || user != "AWS":
		w.Header().Set("WWW-Authenticate", `Basic realm="https://111122223333.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "Not Authorized")
		return false
	case !strings.HasPrefix(password, "token-"), e.half > 0 && e.uses[password] >= 2*e.half:
		refuse(w, http.StatusForbidden, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
		return false
	}
	e.uses[password]++
	return true
}

// upload takes the whole blob at once, and says that it is created.
func (e *ecr) upload(w http.ResponseWriter, r *http.Request) {
	if e.patched[r.URL.Path] {
		refuse(w, http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "one part too many")
		return
	}
	e.patched[r.URL.Path] = true
	answer := httptest.NewRecorder()
	e.inner.ServeHTTP(answer, r)
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	if answer.Code == http.StatusAccepted || answer.Code == http.StatusNoContent {
		answer.Code = http.StatusCreated
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// putImage holds a manifest against the rules, and its tag against the others.
func (e *ecr) putImage(w http.ResponseWriter, r *http.Request, name string) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if fault := unfitForECR(text); fault != "" {
		e.t.Errorf("a manifest that ECR refuses: %s\n%s", fault, text)
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'")
		return
	}
	digest, _, _ := v1.SHA256(bytes.NewReader(text))
	if !strings.HasPrefix(name, "sha256:") && name != plan.Marker {
		if e.tags[name] != "" { // whatever the digest
			refuse(w, http.StatusBadRequest, "TAG_INVALID",
				fmt.Sprintf("The image tag '%s' already exists in the 'shop/url-risk' repository and cannot be overwritten because the tag is immutable.", name))
			return
		}
		e.tags[name] = digest.String()
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	e.inner.ServeHTTP(w, r)
}

// unfitForECR says what ECR dislikes in a manifest.
func unfitForECR(text []byte) string {
	var manifest struct {
		MediaType, ArtifactType string
		Config                  *v1.Descriptor
		Layers, Manifests       []v1.Descriptor
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return err.Error()
	}
	const mostLayers, largest = 127, int64(52_000) << 20
	if manifest.MediaType == "" || len(manifest.Layers) > mostLayers || len(text) > 4<<20 {
		return "no media type, too many layers or too long"
	}
	if manifest.Config == nil && manifest.Manifests == nil {
		return "neither a configuration nor images"
	}
	list := manifest.Layers
	if manifest.Config != nil {
		list = append(list, *manifest.Config)
	}
	for _, d := range append(list, manifest.Manifests...) {
		if d.MediaType == "" || strings.ContainsAny(string(d.MediaType), "; ") || d.Size <= 0 || d.Size > largest {
			return fmt.Sprintf("%s of %d bytes", d.MediaType, d.Size)
		}
	}
	return ""
}

// A first push makes the repository; token after token ends meanwhile. A
// second one of the same image is a success, though no tag can be put again; one
// of another image under the same tag is refused, and moves nothing.
func TestAPushToECR(t *testing.T) {
	e, o := newECR(t, options(t))
	e.half = 6
	a, push := heavy(t, o, 200_000)
	push.Create, push.Marker = &plan.NewRepository{Immutable: true, Scan: true, Keep: 50}, plan.Marker
	receipt, err := bundle.New(o).Push(context.Background(), push)
	if err != nil || !strings.HasPrefix(receipt.Said, "repository created, 2 layers sent") {
		t.Fatalf("Push() = %q, %v", receipt.Said, err)
	}
	if e.created == nil || !cmp.Equal(*e.created, *push.Create) {
		t.Errorf("created with %+v", e.created)
	}
	if e.tokens < 3 {
		t.Errorf("%d tokens were asked for, want several", e.tokens)
	}
	attested := plan.Attest{
		Layout: a.Layout, Repository: push.Repository, Digest: push.Digest, Root: a.Root, Project: "shop", Model: "url-risk", Key: "key.pem",
	}
	if receipt := attest(t, o, attested, signingKey(t)); !strings.HasSuffix(receipt.Said, "signed with key.pem") {
		t.Errorf("Attest() said %q", receipt.Said)
	}
	for range 2 {
		if _, err := bundle.New(o).Promote(context.Background(), promotion(push)); err != nil {
			t.Errorf("Promote() = %v", err)
		}
	}
	if receipt, err := bundle.New(o).Push(context.Background(), push); err != nil || receipt.Said != "the registry has this image: nothing sent" {
		t.Errorf("a second Push() = %q, %v", receipt.Said, err)
	}

	former := push.Digest.String()
	rewrite(t, o, a, &push, 1000)
	_, err = bundle.New(o).Push(context.Background(), push)
	wantFault(t, err, fault.Conflict, "cannot be overwritten because the tag is immutable", "choose another version")
	if got := e.tags["latest"]; got != former {
		t.Errorf("latest names %s, want %s", got, former)
	}
}

// Several pushes find an immutable tag free at the same time; one of them has it.
func TestPushesThatWantOneImmutableTag(t *testing.T) {
	for _, tt := range []struct {
		name string
		same bool
		lost int
	}{
		{"of different images", false, 1},
		{"of the same image", true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, o := newECR(t, options(t))
			e.created = &plan.NewRepository{Immutable: true}
			var pushes [2]plan.Push
			_, pushes[0] = heavy(t, o, 100_000)
			if pushes[1] = pushes[0]; !tt.same {
				_, pushes[1] = heavy(t, o, 100_000)
			}
			e.meet = newMeeting(len(pushes))
			var errs [2]error
			var group sync.WaitGroup
			for i := range pushes {
				pushes[i].Tags = []string{"1.2.3"}
				group.Go(func() { _, errs[i] = bundle.New(o).Push(context.Background(), pushes[i]) })
			}
			group.Wait()
			e.meet = nil
			lost := 0
			for i, err := range errs {
				if err != nil {
					lost++
					wantFault(t, err, fault.Conflict, "tag "+pushes[i].Repository+":1.2.3", "choose another version")
				} else if got := e.tags["1.2.3"]; got != pushes[i].Digest.String() {
					t.Errorf("1.2.3 names %s, and the push of %s succeeded", got, pushes[i].Digest)
				}
				report := verify(t, o, pushes[i].Repository+"@"+pushes[i].Digest.String(), evidence.Wanted{})
				if strings.Contains(verdicts(report), "failed") {
					t.Errorf("%s is not whole:\n%s", pushes[i].Digest, verdicts(report))
				}
			}
			if lost != tt.lost {
				t.Errorf("%d pushes were refused, want %d: %v", lost, tt.lost, errs)
			}
		})
	}
}
