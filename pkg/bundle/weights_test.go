package bundle_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"math/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

const weightBytes = 5 << 20

// weights puts a file of random numbers into a repository, written a while ago.
func weights(t *testing.T, root, name string, seed int64) string {
	t.Helper()
	content := make([]byte, weightBytes)
	if _, err := rand.New(rand.NewSource(seed)).Read(content); err != nil { //nolint:gosec // the same bytes each time
		t.Fatal(err)
	}
	write(t, root, map[string]string{name: string(content)})
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(root, name), old, old); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// largestBelow is the size of the largest file of a folder.
func largestBelow(t *testing.T, folder string) (most int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, item fs.DirEntry, err error) error {
		if err != nil || item.IsDir() {
			return err
		}
		info, err := item.Info()
		if err == nil {
			most = max(most, info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return most
}

// weighted packages a repository with weights and gives what pushes it.
func weighted(t *testing.T, o bundle.Options) (string, plan.Package, plan.Push) {
	t.Helper()
	root := repository(t)
	weights(t, root, "weights/model.safetensors", 1)
	a := action(t, root)
	receipt := pack(t, o, a)
	return root, a, plan.Push{
		Layout: a.Layout, Repository: stableName + "/shop/url-risk", Digest: plan.Text(receipt.Yields["digest"]),
		Tags: []string{"1.2.3-cand.1"}, Marker: "towline-cache",
	}
}

func TestWeightsAreNotCopied(t *testing.T) {
	o, address := serve(t, options(t), nil)
	_, a, push := weighted(t, o)
	if n := max(largestBelow(t, a.Layout), largestBelow(t, o.Cache)); n >= weightBytes {
		t.Errorf("a file of %d bytes was written, want no copy of the weights", n)
	}
	if digest, ok := bundle.LayoutDigest(a.Layout); !ok || digest != push.Digest.String() {
		t.Errorf("LayoutDigest() = %s, %t, want %s", digest, ok, push.Digest)
	}
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Fatal(err)
	}
	reference, err := name.ParseReference(address + "/shop/url-risk:1.2.3-cand.1")
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(reference)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Error(err)
	}
	if n := largestBelow(t, o.Cache); n >= weightBytes {
		t.Errorf("the push wrote a file of %d bytes, want none of that size", n)
	}
}

func TestWeightsThatWereChangedAfterPackaging(t *testing.T) {
	o, _ := serve(t, options(t), nil)
	root, a, push := weighted(t, o)
	weights(t, root, "weights/model.safetensors", 2)
	_, err := bundle.New(o).Push(context.Background(), push)
	wantFault(t, err, fault.Conflict, "push "+push.Repository, "changed after it was packaged")

	if err := os.Truncate(filepath.Join(root, "weights/model.safetensors"), 7); err != nil {
		t.Fatal(err)
	}
	_, err = bundle.New(o).Push(context.Background(), push)
	wantFault(t, err, fault.Missing, "is not whole", "towline package")
	if _, ok := bundle.LayoutDigest(a.Layout); ok {
		t.Error("LayoutDigest() is ok, want it not to be when the weights are gone")
	}
}

// The upload of weights is begun again after a reset in its middle.
func TestAnUploadOfWeightsIsBegunAgain(t *testing.T) {
	var mu sync.Mutex
	cut := 0
	o, _ := serve(t, options(t), func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch || r.ContentLength < weightBytes {
			return false
		}
		mu.Lock()
		cut++
		first := cut == 1
		mu.Unlock()
		if first {
			_, _ = r.Body.Read(make([]byte, 1<<20))
			panic(http.ErrAbortHandler)
		}
		return false
	})
	_, _, push := weighted(t, o)
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil || cut < 2 {
		t.Errorf("Push() = %v after %d uploads, want success after 2", err, cut)
	}
}

func TestAllWeightsArePacked(t *testing.T) {
	root := repository(t)
	for i := range 18 {
		weights(t, root, "w/part-"+string(rune('a'+i))+".gguf", int64(i))
	}
	a := action(t, root)
	pack(t, options(t), a)
	_, manifest, config := readManifest(t, a.Layout)
	if n := len(manifest.Layers); n != 16+2 {
		t.Errorf("%d layers, want 16 of weights and 2", n)
	}
	if said := config.History[15].CreatedBy; !strings.Contains(said, ".gguf, w/part-") {
		t.Errorf("the last layer of weights is %q, want it to hold what is left", said)
	}
}

func TestDigestsOfLargeFilesAreRemembered(t *testing.T) {
	root, cache := t.TempDir(), t.TempDir()
	want := weights(t, root, "model.onnx", 3)
	digest := func() string {
		t.Helper()
		files, err := bundle.Files(bundle.Tree{Root: root, Path: ".", Cache: cache})
		if err != nil {
			t.Fatal(err)
		}
		sum, err := files[0].Digest()
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	for range 2 {
		if got := digest(); got != want {
			t.Fatalf("Digest() = %s, want %s", got, want)
		}
	}
	kept, err := filepath.Glob(cache + "/digests/*.json")
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %v, %v, want one digest", kept, err)
	}
	want = weights(t, root, "model.onnx", 4)
	later := time.Now().Add(-time.Minute)
	if err := os.Chtimes(filepath.Join(root, "model.onnx"), later, later); err != nil {
		t.Fatal(err)
	}
	if got := digest(); got != want {
		t.Errorf("Digest() after a change = %s, want %s", got, want)
	}
}
