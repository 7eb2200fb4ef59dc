package bundle_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/rs/zerolog"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

// A push over a bad line, or to a registry that misbehaves, has one of two
// ends: the image is there as a whole, or its tag has not moved and the error
// says what to do.

// heavy packages a repository whose code does not compress.
func heavy(t *testing.T, o bundle.Options, size int) (plan.Package, plan.Push) {
	t.Helper()
	a, push := packed(t, o)
	rewrite(t, o, a, &push, size)
	return a, push
}

// rewrite gives the repository other content, and packages it again.
func rewrite(t *testing.T, o bundle.Options, a plan.Package, push *plan.Push, size int) {
	t.Helper()
	content := make([]byte, size)
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	write(t, a.Root, map[string]string{"data.npy": string(content)})
	push.Digest = plan.Text(pack(t, o, a).Yields["digest"])
}

// tagged is the digest that a tag names; "" if there is no such tag. An image
// that is there must be whole.
func tagged(t *testing.T, address, tag string) string {
	t.Helper()
	ref, err := name.ParseReference(address + "/shop/url-risk:" + tag)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(ref)
	if err != nil {
		return ""
	}
	if err := validate.Image(image); err != nil {
		t.Errorf("the image behind %s is not whole: %v", tag, err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

// toxic is a line to a registry that can be made bad.
type toxic struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func badLine(t *testing.T, o bundle.Options, address string) (bundle.Options, toxic) {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "registry", "127.0.0.1:0", address)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	o.Dial = map[string]string{stableName: proxy.Listen}
	return o, toxic{t, proxy}
}

// add adds a toxic: what it does, to which stream, and how.
func (x toxic) add(kind, stream, attributes string) {
	x.t.Helper()
	text := fmt.Sprintf(`{"name": %q, "type": %q, "stream": %q, "attributes": {%s}}`, kind, kind, stream, attributes)
	if _, err := x.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
		x.t.Fatal(err)
	}
}

func (x toxic) remove(kind string) { _ = x.proxy.Toxics.RemoveToxic(context.Background(), kind) }

func TestAPushOverALineThatBreaks(t *testing.T) {
	const megabyte = 1 << 20
	var x toxic
	var broken, healAfter atomic.Int32
	o, address := serve(t, options(t), func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err != nil && broken.Add(1) == healAfter.Load() {
			go x.remove("limit_data")
		}
		return false
	})
	o, x = badLine(t, o, address)
	a, push := heavy(t, o, 6*megabyte)

	healAfter.Store(1)
	o.Backoff = 200 * time.Millisecond // the line heals meanwhile
	x.add("limit_data", "upstream", fmt.Sprintf(`"bytes": %d`, 2*megabyte))
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Fatalf("a connection that broke once: %v", err)
	}
	if got := tagged(t, address, "latest"); got != push.Digest.String() || broken.Load() == 0 {
		t.Errorf("after %d broken uploads latest is %q, want %s", broken.Load(), got, push.Digest)
	}

	former := push.Digest.String()
	rewrite(t, o, a, &push, 6*megabyte)
	healAfter.Store(0)
	o.Backoff = time.Millisecond
	x.add("limit_data", "upstream", fmt.Sprintf(`"bytes": %d`, 2*megabyte))
	_, err := bundle.New(o).Push(context.Background(), push)
	wantFault(t, err, fault.Remote, "push ", "again")
	if got := tagged(t, address, "latest"); got != former {
		t.Errorf("over a line that stays broken latest moved to %q, want %s", got, former)
	}
	x.remove("limit_data")
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Fatalf("a line that works again: %v", err)
	}
	if got := tagged(t, address, "latest"); got != push.Digest.String() {
		t.Errorf("latest is %q, want %s", got, push.Digest)
	}
}

func TestAPushOverASlowLine(t *testing.T) {
	o, address := serve(t, options(t), nil)
	o, x := badLine(t, o, address)
	x.add("latency", "downstream", `"latency": 40, "jitter": 20`)
	x.add("slicer", "upstream", `"average_size": 4000, "size_variation": 2000, "delay": 10`)
	_, push := heavy(t, o, 1<<20)
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Fatal(err)
	}
	if got := tagged(t, address, "latest"); got != push.Digest.String() {
		t.Errorf("latest is %q, want %s", got, push.Digest)
	}
}

func TestARegistryThatAsksToWait(t *testing.T) {
	var asked atomic.Int32
	o, address := serve(t, options(t), func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || asked.Add(1) > 1 {
			return false
		}
		w.Header().Set("Retry-After", "1")
		return answer("POST", "/blobs/uploads/", 429, `{"errors":[{"code":"TOOMANYREQUESTS","message":"Rate exceeded"}]}`)(w, r)
	})
	_, push := packed(t, o)
	begun := time.Now()
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < time.Second {
		t.Errorf("the push took %s, want the second that the registry asked for", took)
	}
	if got := tagged(t, address, "latest"); got != push.Digest.String() {
		t.Errorf("latest is %q, want %s", got, push.Digest)
	}
}

func TestARegistryThatFailsForGood(t *testing.T) {
	for _, tt := range []struct {
		name   string
		refuse func(http.ResponseWriter, *http.Request) bool
		kind   fault.Kind
		want   string
		hint   string
	}{
		{"on the manifest", answer("PUT", "/manifests/", 500, ""), fault.Remote, "500", "again"},
		{"on the tag", answer("PUT", "/manifests/latest", 500, ""), fault.Remote, "tag ", "again"},
		{"by its limits", answer("PATCH", "/blobs/", 429, `{"errors":[{"code":"TOOMANYREQUESTS","message":"Rate exceeded"}]}`), fault.Remote, "Rate exceeded", "minute"},
		{"by an expired token", answer("PATCH", "/blobs/", 403, `{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}`), fault.Denied, "expired", "log in"},
		{"by a blob that it has lost", answer("PUT", "/manifests/", 404, `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}`), fault.Remote, "blob unknown", "again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var bad atomic.Bool
			o, address := serve(t, options(t), func(w http.ResponseWriter, r *http.Request) bool { return bad.Load() && tt.refuse(w, r) })
			a, push := packed(t, o)
			if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
				t.Fatal(err)
			}
			former := push.Digest.String()
			rewrite(t, o, a, &push, 1000)
			bad.Store(true)
			_, err := bundle.New(o).Push(context.Background(), push)
			wantFault(t, err, tt.kind, tt.want, tt.hint)
			if got := tagged(t, address, "latest"); got != former {
				t.Errorf("latest moved to %q, want %s", got, former)
			}
			bad.Store(false)
			if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
				t.Errorf("the registry works again: %v", err)
			}
			if got := tagged(t, address, "latest"); got != push.Digest.String() {
				t.Errorf("latest is %q, want %s", got, push.Digest)
			}
		})
	}
}

// A registry whose bearer tokens expire gives new ones, also during an upload.
func TestABearerTokenThatExpires(t *testing.T) {
	var issued, used atomic.Int32
	o, _ := serve(t, options(t), func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			used.Store(0)
			_ = json.NewEncoder(w).Encode(map[string]string{"token": fmt.Sprintf("bearer-%d", issued.Add(1))})
			return true
		}
		if r.Header.Get("Authorization") == fmt.Sprintf("Bearer bearer-%d", issued.Load()) && used.Add(1) <= 4 {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="registry"`, r.Host))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	_, push := heavy(t, o, 1<<20)
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Fatalf("after %d tokens: %v", issued.Load(), err)
	}
	if issued.Load() < 2 {
		t.Errorf("%d tokens were asked for, want several", issued.Load())
	}
}

// A registry says that it has a blob, and then that it has not.
func TestARegistryThatLosesABlob(t *testing.T) {
	var lie atomic.Bool
	var lost string
	o, address := serve(t, options(t), func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case !lie.Load():
			return false
		case r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, lost):
			w.Header().Set("Content-Length", "1000")
			w.Header().Set("Docker-Content-Digest", lost)
			w.WriteHeader(http.StatusOK)
			return true
		case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/"):
			return answer("PUT", "/manifests/", 400, `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}`)(w, r)
		}
		return false
	})
	a, push := packed(t, o)
	_, manifest, _ := readManifest(t, a.Layout)
	lost = manifest.Layers[len(manifest.Layers)-1].Digest.String()
	lie.Store(true)
	_, err := bundle.New(o).Push(context.Background(), push)
	wantFault(t, err, fault.Remote, "blob unknown", "again")
	if got := tagged(t, address, "latest"); got != "" {
		t.Errorf("latest is %q, want no such tag", got)
	}
	lie.Store(false)
	if _, err := bundle.New(o).Push(context.Background(), push); err != nil {
		t.Errorf("the registry knows what it has again: %v", err)
	}
	if got := tagged(t, address, "latest"); got != push.Digest.String() {
		t.Errorf("latest is %q, want %s", got, push.Digest)
	}
}

func TestTwoPushesOfOneTagAtOnce(t *testing.T) {
	o, address := serve(t, options(t), nil)
	var pushes [2]plan.Push
	var errs [2]error
	var group sync.WaitGroup
	for i := range pushes {
		_, pushes[i] = heavy(t, o, 200_000)
	}
	for i := range pushes {
		group.Go(func() { _, errs[i] = bundle.New(o).Push(context.Background(), pushes[i]) })
	}
	group.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Errorf("Push() = %v", err)
	}
	got := tagged(t, address, "latest")
	if got != pushes[0].Digest.String() && got != pushes[1].Digest.String() {
		t.Errorf("latest is %q, want one of both", got)
	}
	for _, push := range pushes {
		if there, err := bundle.New(o).Has(context.Background(), push.Repository, push.Digest.String()); err != nil || !there {
			t.Errorf("Has(%s) = %t, %v", push.Digest, there, err)
		}
	}
}

// sink is a registry that keeps manifests and forgets blobs, so that what a
// push takes of memory is its own.
type sink struct {
	mu        sync.Mutex
	manifests map[string][]byte
	seen      map[string]string // upload → digest of what came
	cut       atomic.Int32      // uploads that are still to be cut in the middle
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, last := filepath.Split(r.URL.Path)
	switch {
	case r.URL.Path == "/v2/":
	case strings.Contains(r.URL.Path, "/manifests/"):
		s.manifest(w, r, last)
	case r.Method == http.MethodHead:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodPost:
		w.Header().Set("Location", fmt.Sprintf("%s%d", r.URL.Path, time.Now().UnixNano()))
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPatch:
		s.patch(w, r)
	case r.Method == http.MethodPut:
		s.mu.Lock()
		defer s.mu.Unlock()
		if want := r.URL.Query().Get("digest"); s.seen[r.URL.Path] != want {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
	}
}

func (s *sink) patch(w http.ResponseWriter, r *http.Request) {
	if s.cut.Add(-1) >= 0 {
		_, _ = io.CopyN(io.Discard, r.Body, 8<<20)
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
		return
	}
	hash := sha256.New()
	_, err := io.Copy(hash, r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.seen[r.URL.Path] = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	}
	w.Header().Set("Location", r.URL.Path)
	w.WriteHeader(http.StatusAccepted)
}

func (s *sink) manifest(w http.ResponseWriter, r *http.Request, ref string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodPut {
		body, _ := io.ReadAll(r.Body)
		s.manifests[ref] = body
		w.WriteHeader(http.StatusCreated)
		return
	}
	body, ok := s.manifests[ref]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	digest, _, _ := v1.SHA256(bytes.NewReader(body))
	w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
	w.Header().Set("Docker-Content-Digest", digest.String())
	_, _ = w.Write(body)
}

func TestMemoryStaysBoundedWhenUploadsBreak(t *testing.T) {
	s := &sink{manifests: map[string][]byte{}, seen: map[string]string{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	o := options(t)
	o.Dial = map[string]string{stableName: server.Listener.Addr().String()}
	_, push := heavy(t, o, 96<<20)
	s.cut.Store(2)

	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan error, 1)
	go func() {
		_, err := bundle.New(o).Push(context.Background(), push)
		done <- err
	}()
	peak := before.HeapInuse
	for pushing := true; pushing; {
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Push() = %v", err)
			}
			pushing = false
		case <-time.After(5 * time.Millisecond):
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapInuse)
		}
	}
	const limit = 40 << 20
	if more := peak - before.HeapInuse; more > limit {
		t.Errorf("a push of 96 MB took %d MB of memory, want at most %d", more>>20, limit>>20)
	}
	if s.manifests["latest"] == nil {
		t.Error("the tag is not there")
	}
}
