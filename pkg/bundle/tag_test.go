package bundle_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// promotion puts 1.2.3 on a pushed image.
func promotion(push plan.Push) plan.Promote {
	return plan.Promote{
		Model: "url-risk", Repository: push.Repository, Digest: push.Digest.String(),
		Version: plan.Text("1.2.3"), Moving: plan.Text("1.2,1,latest"),
	}
}

// named is the digest behind a tag.
func named(t *testing.T, address, tag string) string {
	t.Helper()
	reference, err := name.ParseReference(address + "/shop/url-risk:" + tag)
	if err != nil {
		t.Fatal(err)
	}
	there, err := remote.Head(reference)
	if err != nil {
		return ""
	}
	return there.Digest.String()
}

func TestAVersionIsPutOnTheImageThatPassed(t *testing.T) {
	var mu sync.Mutex
	blobs := 0
	o, address := serve(t, options(t), func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(r.URL.Path, "/blobs/") {
			blobs++
		}
		return false
	})
	_, push := packed(t, o)
	b := bundle.New(o)
	if _, err := b.Push(context.Background(), push); err != nil {
		t.Fatal(err)
	}
	before := blobs
	for range 2 {
		receipt, err := b.Promote(context.Background(), promotion(push))
		if err != nil || !strings.HasPrefix(receipt.Said, "1.2.3, 1.2, 1, latest on sha256:") {
			t.Fatalf("Promote = %+v, %v, want all tags", receipt, err)
		}
	}
	for _, tag := range []string{"1.2.3", "1.2", "1", "latest"} {
		if got := named(t, address, tag); got != push.Digest.String() {
			t.Errorf("%s names %q, want %s", tag, got, push.Digest)
		}
	}
	if blobs != before {
		t.Errorf("%d requests for blobs, want none: the image is there", blobs-before)
	}
}

func TestAVersionNeverMoves(t *testing.T) {
	o, address := serve(t, options(t), nil)
	b := bundle.New(o)
	_, first := packed(t, o)
	if _, err := b.Push(context.Background(), first); err != nil {
		t.Fatal(err)
	}
	a := action(t, repository(t))
	a.Train = []string{"python", "other.py"}
	second := first
	second.Layout, second.Digest = a.Layout, plan.Text(pack(t, o, a).Yields["digest"])
	if _, err := b.Push(context.Background(), second); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Promote(context.Background(), promotion(first)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Promote(context.Background(), promotion(second)); fault.KindOf(err) != fault.Conflict {
		t.Errorf("Promote = %v, want a conflict", err)
	}
	if got := named(t, address, "1.2.3"); got != first.Digest.String() {
		t.Errorf("1.2.3 names %s, want it left on %s", got, first.Digest)
	}
	next := promotion(second)
	next.Version = plan.Text("1.2.4")
	if _, err := b.Promote(context.Background(), next); err != nil {
		t.Fatal(err)
	}
	if got := named(t, address, "1.2"); got != second.Digest.String() {
		t.Errorf("1.2 names %s, want it moved to %s", got, second.Digest)
	}
}

func TestARegistryWithImmutableTags(t *testing.T) {
	const refusal = `{"errors":[{"code":"TAG_INVALID","message":"The image tag already exists and cannot be overwritten because the tag is immutable"}]}`
	for _, tt := range []struct {
		name, refused string
		kind          fault.Kind
		said          string
	}{
		{"a moving tag stays away, quietly", "/manifests/latest", 0, "1.2.3, 1.2, 1 on sha256:"},
		{"a version that is taken is a conflict", "/manifests/1.2.3", fault.Conflict, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, _ := serve(t, options(t), answer("PUT", tt.refused, 400, refusal))
			_, push := packed(t, o)
			push.Tags = nil
			b := bundle.New(o)
			if _, err := b.Push(context.Background(), push); err != nil {
				t.Fatal(err)
			}
			receipt, err := b.Promote(context.Background(), promotion(push))
			if (err != nil) != (tt.kind != 0) || err != nil && fault.KindOf(err) != tt.kind || !strings.HasPrefix(receipt.Said, tt.said) {
				t.Errorf("Promote = %+v, %v, want kind %d and %q", receipt, err, tt.kind, tt.said)
			}
		})
	}
}

func TestAnImageThatIsGoneGetsNoVersion(t *testing.T) {
	o, _ := serve(t, options(t), nil)
	_, push := packed(t, o)
	err := bundle.New(o).Tag(context.Background(), push.Repository, push.Digest.String(), "1.2.3")
	if fault.KindOf(err) != fault.Missing {
		t.Errorf("Tag = %v, want it missing", err)
	}
}
