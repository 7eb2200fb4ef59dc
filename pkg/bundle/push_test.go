package bundle_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/secret"
)

// packed packages a small repository without dependencies and gives what pushes it.
func packed(t *testing.T, o bundle.Options) (plan.Package, plan.Push) {
	t.Helper()
	a := action(t, repository(t))
	receipt := pack(t, o, a)
	return a, plan.Push{
		Layout: a.Layout, Repository: stableName + "/shop/url-risk",
		Digest: plan.Text(receipt.Yields["digest"]), Tags: []string{"1.2.3-cand.1", "latest"},
	}
}

func TestAPushedImageIsWhole(t *testing.T) {
	o, address := serve(t, options(t), nil)
	var mu sync.Mutex
	var done, total int64
	o.Progress = func(d, n int64) {
		mu.Lock()
		defer mu.Unlock()
		done, total = d, n
	}
	_, push := packed(t, o)
	receipt, err := bundle.New(o).Push(context.Background(), push)
	if err != nil {
		t.Fatal(err)
	}
	digest := push.Digest.String()
	if got, want := receipt.Yields["image"], push.Repository+"@"+digest; got != want {
		t.Errorf("yields image %s, want %s", got, want)
	}
	section, _ := receipt.Section.(record.Image)
	want := record.Image{
		Repository: push.Repository, Digest: digest, Tag: "1.2.3-cand.1", Platform: hostPlatform,
		Python: "3.11", Base: "scratch", Size: section.Size,
	}
	if diff := cmp.Diff(want, section); diff != "" || section.Size == 0 {
		t.Errorf("section (-want +got):\n%s", diff)
	}
	if done != total || total == 0 {
		t.Errorf("progress ended at %d of %d bytes", done, total)
	}
	for _, ref := range []string{"@" + digest, ":1.2.3-cand.1", ":latest"} {
		reference, err := name.ParseReference(address + "/shop/url-risk" + ref)
		if err != nil {
			t.Fatal(err)
		}
		image, err := remote.Image(reference)
		if err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		if err := validate.Image(image); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
		if got, err := image.Digest(); err != nil || got.String() != digest {
			t.Errorf("%s is %s, %v, want %s", ref, got, err, digest)
		}
	}
}

// uploadsSeen counts what is sent.
func uploadsSeen(n *int, mu *sync.Mutex) func(http.ResponseWriter, *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPatch || r.Method == http.MethodPut {
			*n++
		}
		return false
	}
}

func TestWhatTheRegistryHasIsNotSentAgain(t *testing.T) {
	var sent int
	var mu sync.Mutex
	o, _ := serve(t, options(t), uploadsSeen(&sent, &mu))
	a, push := packed(t, o)
	b := bundle.New(o)
	for _, tt := range []struct {
		name   string
		change func()
		said   string
		idle   bool
	}{
		{"a first push", func() {}, "2 layers sent", false},
		{"the same image under the same tags", func() {}, "the registry has this image: nothing sent", true},
		{"a change of the code", func() {
			write(t, a.Root, map[string]string{"train.py": "print('new')\n"})
			push.Digest = plan.Text(pack(t, o, a).Yields["digest"])
			push.Tags = []string{"1.2.3-cand.2"}
		}, "1 layer sent", false},
	} {
		tt.change()
		mu.Lock()
		sent = 0
		mu.Unlock()
		receipt, err := b.Push(context.Background(), push)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if !strings.HasPrefix(receipt.Said, tt.said) || (sent == 0) != tt.idle {
			t.Errorf("%s: said %q after %d requests that send, want %q", tt.name, receipt.Said, sent, tt.said)
		}
	}
	if there, err := b.Has(context.Background(), push.Repository, push.Digest.String()); err != nil || !there {
		t.Errorf("Has(pushed) = %t, %v", there, err)
	}
	if there, err := b.Has(context.Background(), push.Repository, "sha256:"+strings.Repeat("0", 64)); err != nil || there {
		t.Errorf("Has(unknown) = %t, %v", there, err)
	}
}

// answer makes a registry refuse what matches.
func answer(method, part string, status int, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || !strings.Contains(r.URL.Path, part) {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
		return true
	}
}

func TestARefusedPush(t *testing.T) {
	for _, tt := range []struct {
		name   string
		refuse func(http.ResponseWriter, *http.Request) bool
		kind   fault.Kind
		want   string
		hint   string
	}{
		{"no repository", answer("POST", "/blobs/uploads/", 404, `{"errors":[{"code":"NAME_UNKNOWN","message":"The repository with name 'shop/url-risk' does not exist"}]}`),
			fault.Missing, "push " + stableName + "/shop/url-risk:", "create the repository"},
		{"no rights", answer("POST", "/blobs/uploads/", 403, `{"errors":[{"code":"DENIED","message":"User is not authorized to perform: ecr:InitiateLayerUpload"}]}`),
			fault.Denied, "not authorized", "log in to the registry"},
		{"no login", func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			return answer(r.Method, "/v2/", 401, `{"errors":[{"code":"UNAUTHORIZED","message":"no basic auth credentials"}]}`)(w, r)
		}, fault.Denied, "push ", "log in to the registry"},
		{"too many requests, for good", answer("POST", "/blobs/uploads/", 429, `{"errors":[{"code":"TOOMANYREQUESTS","message":"Rate exceeded"}]}`),
			fault.Remote, "Rate exceeded", "try again in a minute"},
		{"a manifest that fails, for good", answer("PUT", "/manifests/", 500, ""),
			fault.Remote, "500", "try again"},
		{"an immutable tag", answer("PUT", "/manifests/latest", 400, `{"errors":[{"code":"TAG_INVALID","message":"The image tag 'latest' already exists and cannot be overwritten because the tag is immutable"}]}`),
			fault.Conflict, "tag " + stableName + "/shop/url-risk:latest:", "choose another version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, _ := serve(t, options(t), tt.refuse)
			_, push := packed(t, o)
			_, err := bundle.New(o).Push(context.Background(), push)
			wantFault(t, err, tt.kind, tt.want, tt.hint)
		})
	}
}

// A tag moves only after the manifest, and the manifest comes only after the layers.
func TestTagsComeLast(t *testing.T) {
	var mu sync.Mutex
	var order []string
	o, _ := serve(t, options(t), func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPut {
			kind, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/shop/url-risk/"), "/")
			if kind == "manifests" {
				kind = filepath.Base(r.URL.Path)
			}
			order = append(order, kind)
		}
		return false
	})
	_, push := packed(t, o)
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Fatal(err)
	}
	want := []string{"blobs", "blobs", "blobs", push.Digest.String(), "1.2.3-cand.1", "latest"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("order of what was put (-want +got):\n%s", diff)
	}
}

func TestAPushSurvivesWhatPasses(t *testing.T) {
	for _, tt := range []struct {
		name string
		once func(http.ResponseWriter, *http.Request) bool
	}{
		{"too many requests", answer("POST", "/blobs/uploads/", 429, `{"errors":[{"code":"TOOMANYREQUESTS"}]}`)},
		{"a registry that is not ready", answer("HEAD", "/blobs/", 503, "")},
		{"an error on the manifest", answer("PUT", "/manifests/", 500, "")},
		{"a connection that is reset in the middle of a blob", func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch {
				return false
			}
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			failed := false
			o, _ := serve(t, options(t), func(w http.ResponseWriter, r *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				if failed {
					return false
				}
				failed = tt.once(w, r)
				return failed
			})
			_, push := packed(t, o)
			if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
				t.Errorf("Push() = %v", err)
			}
			if !failed {
				t.Error("the registry never failed")
			}
		})
	}
}

func TestAPushNeedsTheRightLayout(t *testing.T) {
	o, _ := serve(t, options(t), nil)
	a, push := packed(t, o)

	other := push
	other.Digest = plan.Text("sha256:" + strings.Repeat("0", 64))
	_, err := bundle.New(o).Push(context.Background(), other)
	wantFault(t, err, fault.Conflict, "the layout holds "+push.Digest.String(), "package again")

	none := push
	none.Layout = filepath.Join(t.TempDir(), "none")
	_, err = bundle.New(o).Push(context.Background(), none)
	wantFault(t, err, fault.Missing, "read image", "towline package")

	bad := push
	bad.Repository = "Not A Name"
	_, err = bundle.New(o).Push(context.Background(), bad)
	wantFault(t, err, fault.Repository, `push to "Not A Name"`, "registry")

	_, manifest, _ := readManifest(t, a.Layout)
	if err := os.Truncate(blobName(a.Layout, manifest.Layers[1].Digest), 3); err != nil {
		t.Fatal(err)
	}
	_, err = bundle.New(o).Push(context.Background(), push)
	wantFault(t, err, fault.Missing, "is not whole", "towline package")
}

func TestARegistryThatIsNotThere(t *testing.T) {
	o := options(t)
	_, push := packed(t, o)
	o.Dial = map[string]string{stableName: "127.0.0.1:1"}
	_, err := bundle.New(o).Push(context.Background(), push)
	wantFault(t, err, fault.Remote, "connection refused", "can be reached")
}

func TestACancelStopsAPush(t *testing.T) {
	stop := errors.New("stopped by the user")
	ctx, cancel := context.WithCancelCause(context.Background())
	o, _ := serve(t, options(t), func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		cancel(stop)
		<-r.Context().Done()
		return true
	})
	_, push := packed(t, o)
	begun := time.Now()
	_, err := bundle.New(o).Push(ctx, push)
	if !errors.Is(err, stop) || time.Since(begun) > 10*time.Second {
		t.Errorf("Push() = %v after %s, want %v at once", err, time.Since(begun), stop)
	}
}

// A login is asked for the registry's own host, sent with each request, and never said.
func TestALoginIsRenewed(t *testing.T) {
	var mu sync.Mutex
	given := 0
	o, _ := serve(t, options(t), func(w http.ResponseWriter, r *http.Request) bool {
		if _, password, ok := r.BasicAuth(); ok && strings.HasPrefix(password, "token-") {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	o.Credentials = func(_ context.Context, host string) (bundle.Login, error) {
		mu.Lock()
		defer mu.Unlock()
		given++
		if host != stableName {
			t.Errorf("asked for the login of %s, want %s", host, stableName)
		}
		return bundle.Login{User: "AWS", Password: secret.New(fmt.Sprintf("token-%d", given))}, nil
	}
	_, push := packed(t, o)
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Fatal(err)
	}
	if given < 5 {
		t.Errorf("asked for a login %d times, want once for each request", given)
	}
	denied := fault.Newf(fault.Denied, "get a login").Hintf("check the role")
	o.Credentials = func(context.Context, string) (bundle.Login, error) { return bundle.Login{}, denied }
	_, err := bundle.New(o).Push(context.Background(), push)
	wantFault(t, err, fault.Denied, "get a login", "check the role")
}

// Names that no resolver knows, and addresses of loopback, are spoken to in plain HTTP.
func TestLoopbackNeedsNoMap(t *testing.T) {
	o, address := serve(t, options(t), nil)
	o.Dial = nil
	_, push := packed(t, o)
	at, err := url.Parse("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "some.name.localhost"} {
		push.Repository = host + ":" + at.Port() + "/shop/url-risk"
		if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
			t.Errorf("Push to %s: %v", push.Repository, err)
		}
	}
}
