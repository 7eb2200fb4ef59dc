package bundle_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// fresh is the same model on another runner: nothing is known on its disk, and
// uv does not work there.
func fresh(t *testing.T, o bundle.Options, a plan.Package) (bundle.Options, plan.Package) {
	t.Helper()
	o.Cache = t.TempDir()
	o.Environ = append(o.Environ, "TOWLINE_UV=/does/not/exist")
	root := t.TempDir()
	copyTree(t, root, a.Root)
	a.Root, a.Layout = root, filepath.Join(t.TempDir(), "image")
	a.Reuse = []string{stableName + "/shop/url-risk:towline-cache"}
	return o, a
}

// first packages and pushes a model with a dependency and weights.
func first(t *testing.T, o bundle.Options) (plan.Package, plan.Push) {
	t.Helper()
	root := repository(t)
	withWheel(t, root)
	weights(t, root, "model.safetensors", 1)
	a := action(t, root)
	receipt := pack(t, o, a)
	push := plan.Push{
		Layout: a.Layout, Repository: stableName + "/shop/url-risk", Digest: plan.Text(receipt.Yields["digest"]),
		Tags: []string{"1.2.3-cand.1"}, Marker: "towline-cache",
	}
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Fatal(err)
	}
	return a, push
}

func TestAFreshRunnerNeitherInstallsNorSends(t *testing.T) {
	seen := &requests{}
	o, _ := serve(t, options(t), seen.see)
	a, push := first(t, o)
	o, a = fresh(t, o, a)

	receipt := pack(t, o, a)
	if receipt.Yields["digest"] != push.Digest.String() || !strings.Contains(receipt.Said, "1 layer left in the registry") {
		t.Errorf("packaged %s: %s, want %s with its dependencies left in the registry", receipt.Yields["digest"], receipt.Said, push.Digest)
	}
	if n := seen.count(http.MethodGet, "/blobs/"); n != 1 {
		t.Errorf("read %d blobs, want the configuration only", n)
	}
	if digest, ok := bundle.LayoutDigest(a.Layout); !ok || digest != push.Digest.String() {
		t.Errorf("LayoutDigest() = %s, %t, want %s", digest, ok, push.Digest)
	}

	write(t, a.Root, map[string]string{"train.py": "print('changed')\n"})
	push.Layout, push.Tags = a.Layout, []string{"1.2.3-cand.2"}
	push.Digest = plan.Text(pack(t, o, a).Yields["digest"])
	before := seen.count(http.MethodPatch, "")
	said, err := bundle.New(o).Push(context.Background(), push)
	if err != nil {
		t.Fatal(err)
	}
	if n := seen.count(http.MethodPatch, "") - before; n != 2 || !strings.HasPrefix(said.Said, "1 layer sent") {
		t.Errorf("sent %d blobs: %s, want the code and the configuration", n, said.Said)
	}
}

// Another repository of the same registry gets the layers by a mount.
func TestLayersInTheRegistryAreMounted(t *testing.T) {
	seen := &requests{}
	o, _ := serve(t, options(t), seen.see)
	a, push := first(t, o)
	o, a = fresh(t, o, a)
	pack(t, o, a)
	push.Layout, push.Repository = a.Layout, stableName+"/shop/other"
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Fatal(err)
	}
	if there, err := bundle.New(o).Has(context.Background(), push.Repository, push.Digest.String()); err != nil || !there {
		t.Errorf("Has() = %t, %v after the push to another repository", there, err)
	}
}

// losing makes a registry forget one blob once it is told to.
type losing struct {
	mu     sync.Mutex
	digest string
}

func (l *losing) see(w http.ResponseWriter, r *http.Request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.digest == "" || r.Method != http.MethodHead && r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/blobs/"+l.digest) {
		return false
	}
	w.WriteHeader(http.StatusNotFound)
	return true
}

func (l *losing) lose(digest string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.digest = digest
}

func TestALayerThatTheRegistryLostIsBuiltAnew(t *testing.T) {
	shelf := &losing{}
	o, _ := serve(t, options(t), shelf.see)
	a, _ := first(t, o)
	_, manifest, _ := readManifest(t, a.Layout)
	environ := o.Environ
	o, a = fresh(t, o, a)

	pack(t, o, a)
	shelf.lose(manifest.Layers[0].Digest.String())
	// It is lost between packaging and the push: the push says so, and the layout does not count any more.
	push := plan.Push{Layout: a.Layout, Repository: stableName + "/shop/other"}
	_, err := bundle.New(o).Push(context.Background(), push)
	wantFault(t, err, fault.Missing, "has lost it", "run: towline package")
	if _, ok := bundle.LayoutDigest(a.Layout); ok {
		t.Error("LayoutDigest() is ok, want the layout to be packaged again")
	}
	// The next build makes it anew, and says why.
	var said []string
	o.Log = func(line string) { said = append(said, line) }
	o.Environ = environ
	receipt := pack(t, o, a)
	if !strings.Contains(receipt.Said, "dependencies installed") || !strings.Contains(strings.Join(said, "\n"), "has lost layer") {
		t.Errorf("said %q and %q, want the dependencies installed, and the loss told", receipt.Said, said)
	}
}

// Earlier images that cannot be read are as if there were none.
func TestWithoutEarlierImagesEverythingIsBuilt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reuse string
		fail  func(http.ResponseWriter, *http.Request) bool
	}{
		{"no such tag", stableName + "/shop/none:towline-cache", nil},
		{"no such registry", "127.0.0.1:1/shop/none:x", nil},
		{"a registry that denies", stableName + "/shop/url-risk:x", answer("GET", "/manifests/", 403, "")},
		{"no reference", "Not A Name", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, _ := serve(t, warm(t), tt.fail)
			a := action(t, repository(t))
			weights(t, a.Root, "model.onnx", 9)
			a.Reuse = []string{tt.reuse}
			pack(t, o, a)
		})
	}
}

// A marker that cannot be moved fails no push.
func TestARegistryMayRefuseTheMarker(t *testing.T) {
	o, _ := serve(t, options(t), answer("PUT", "/manifests/towline-cache", 400,
		`{"errors":[{"code":"TAG_INVALID","message":"the tag is immutable"}]}`))
	var said []string
	o.Log = func(line string) { said = append(said, line) }
	_, push := packed(t, o)
	push.Marker = "towline-cache"
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Errorf("Push() = %v", err)
	}
	if !strings.Contains(strings.Join(said, "\n"), "later builds reuse fewer layers") {
		t.Errorf("said %q, want the refusal told", said)
	}
}

// A repository that is not there is created with the settings of the action, once.
func TestARepositoryIsCreatedOnDemand(t *testing.T) {
	var mu sync.Mutex
	created := ""
	o, _ := serve(t, options(t), func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		return created == "" && answer("POST", "/blobs/uploads/", 404,
			`{"errors":[{"code":"NAME_UNKNOWN","message":"The repository with name 'shop/url-risk' does not exist"}]}`)(w, r)
	})
	_, push := packed(t, o)
	push.Create = &plan.NewRepository{Scan: true, Keep: 50}
	_, err := bundle.New(o).Push(context.Background(), push)
	wantFault(t, err, fault.Missing, "does not exist", "create the repository")
	o.Create = func(_ context.Context, repository string, settings plan.NewRepository) error {
		mu.Lock()
		defer mu.Unlock()
		if !settings.Scan || settings.Keep != 50 {
			t.Errorf("create with %+v", settings)
		}
		created += repository
		return nil
	}
	receipt, err := bundle.New(o).Push(context.Background(), push)
	if err != nil || created != push.Repository || !strings.HasPrefix(receipt.Said, "repository created, ") {
		t.Errorf("Push() = %q, %v with %q created, want %s", receipt.Said, err, created, push.Repository)
	}
}
