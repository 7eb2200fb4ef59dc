package bundle_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/plan"
)

// uploaded counts what a registry is asked to change.
type uploaded struct {
	mu               sync.Mutex
	blobs, manifests int
	ahead            int  // blobs that came before anybody asked for the image
	refuse           bool // every upload
}

func (r *uploaded) before(w http.ResponseWriter, req *http.Request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case req.Method == http.MethodPost && r.refuse:
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED","message":"no"}]}`))
		return true
	case req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/manifests/"):
		r.manifests++
	case req.Method == http.MethodPut:
		r.blobs++
	case req.Method == http.MethodHead && strings.Contains(req.URL.Path, "/manifests/sha256:"):
		r.ahead = r.blobs
	}
	return false
}

func (r *uploaded) seen() (blobs, manifests int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blobs, r.manifests
}

// sentAhead is an action over a repository with dependencies and weights, and its push.
func sentAhead(t *testing.T) (plan.Package, plan.Push) {
	t.Helper()
	root := repository(t)
	withWheel(t, root)
	weights(t, root, "weights/model.safetensors", 3)
	a := action(t, root)
	a.Requirements, a.Ahead = "requirements.txt", stableName+"/shop/url-risk"
	return a, plan.Push{Layout: a.Layout, Repository: a.Ahead, Tags: []string{"1.2.3-cand.1"}}
}

func TestLayersAreSentWhileOthersArePacked(t *testing.T) {
	var asked uploaded
	o, address := serve(t, warm(t), asked.before)
	a, push := sentAhead(t)
	b := bundle.New(o)
	receipt, err := b.Package(context.Background(), a)
	if err != nil {
		t.Fatal(err)
	}
	if _, manifests := asked.seen(); manifests != 0 {
		t.Errorf("packaging has put %d manifests, want none", manifests)
	}
	push.Digest = plan.Text(receipt.Yields["digest"])
	pushed, err := b.Push(context.Background(), push)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := bundle.Explain(a.Layout)
	if err != nil {
		t.Fatal(err)
	}
	if blobs, _ := asked.seen(); blobs != len(layers)+1 {
		t.Errorf("%d blobs were sent, want %d layers and a configuration, each once", blobs, len(layers))
	}
	if asked.ahead != len(layers) {
		t.Errorf("%d blobs were sent before the push asked for the image, want all %d layers", asked.ahead, len(layers))
	}
	if want := count(len(layers), "layer") + " sent"; !strings.Contains(pushed.Said, want) {
		t.Errorf("push said %q, want %q", pushed.Said, want)
	}
	reference, err := name.ParseReference(address + "/shop/url-risk:1.2.3-cand.1")
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(reference)
	if err == nil {
		err = validate.Image(image)
	}
	if err != nil {
		t.Error(err)
	}
	alone := a
	alone.Ahead, alone.Layout = "", t.TempDir()+"/image"
	if got := pack(t, warm(t), alone).Yields["digest"]; got != receipt.Yields["digest"] {
		t.Errorf("packed without sending: %s, want %s as before", got, receipt.Yields["digest"])
	}
}

func count(n int, thing string) string {
	text := string(rune('0'+n)) + " " + thing
	if n == 1 {
		return text
	}
	return text + "s"
}

// What cannot be sent ahead does not stop the packaging; the push tells of it,
// and sends all when it can.
func TestWhatIsNotSentAheadIsSentByThePush(t *testing.T) {
	asked := uploaded{refuse: true}
	o, _ := serve(t, warm(t), asked.before)
	a, push := sentAhead(t)
	b := bundle.New(o)
	receipt, err := b.Package(context.Background(), a)
	if err != nil {
		t.Fatalf("Package() = %v, want none: only the push needs the registry", err)
	}
	push.Digest = plan.Text(receipt.Yields["digest"])
	if _, err := b.Push(context.Background(), push); err == nil || !strings.Contains(err.Error(), "DENIED") {
		t.Errorf("Push() = %v, want DENIED", err)
	}
	asked.mu.Lock()
	asked.refuse = false
	asked.mu.Unlock()
	if _, err := b.Push(context.Background(), push); err != nil {
		t.Errorf("Push() = %v once the registry takes uploads", err)
	}
}
