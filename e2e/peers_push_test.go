//go:build peers

package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// customs stands before a registry: it counts what is sent for each upload, and
// can hold all uploads but the first few.
type customs struct {
	forward http.Handler
	held    chan struct{} // closed when an upload is held
	release chan struct{} // closed when the held ones are let go

	mu     sync.Mutex
	once   sync.Once
	sent   map[string]int64 // path of an upload → bytes
	stored map[string]int64 // digest → bytes that were sent for it
	pass   int              // uploads that are let through; -1 is all
}

func newCustoms(t *testing.T, registry string) (*customs, string) {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: registry})
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	c := &customs{
		forward: proxy,
		held:    make(chan struct{}), release: make(chan struct{}), sent: map[string]int64{}, stored: map[string]int64{}, pass: -1,
	}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(c.release) })
	return c, server.Listener.Addr().String()
}

func (c *customs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPatch:
		if !c.admit() {
			c.hold(r)
			return
		}
		counted := &countedBody{ReadCloser: r.Body}
		r.Body = counted
		c.forward.ServeHTTP(w, r)
		c.mu.Lock()
		c.sent[r.URL.Path] += counted.n
		c.mu.Unlock()
		return
	case http.MethodPut:
		c.mu.Lock()
		if digest := r.URL.Query().Get("digest"); digest != "" {
			c.stored[digest] += c.sent[r.URL.Path]
		}
		c.mu.Unlock()
	}
	c.forward.ServeHTTP(w, r)
}

func (c *customs) admit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pass > 0 {
		c.pass--
		return true
	}
	return c.pass < 0
}

// hold reads the beginning of an upload, and then nothing more.
func (c *customs) hold(r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, 64<<10)
	c.once.Do(func() { close(c.held) })
	<-c.release
	panic(http.ErrAbortHandler)
}

type countedBody struct {
	io.ReadCloser
	n int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}

// begin starts to count anew, and lets so many uploads through.
func (c *customs) begin(pass int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pass, c.sent, c.stored = pass, map[string]int64{}, map[string]int64{}
}

func (c *customs) digests() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.stored)
}

// weighty is a model with weights in several layers, packaged.
func weighty(t *testing.T) *raceTrack {
	t.Helper()
	track := newRaceTrack(t)
	for i := range 3 {
		content := make([]byte, 6<<20)
		if _, err := rand.Read(content); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(track.dir, "seed", fmt.Sprintf("part%d.safetensors", i)), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	track.environ = append(track.environ, "TOWLINE_CACHE="+filepath.Join(track.dir, "cache"))
	track.packaged(t)
	return track
}

// packaged packages the seed and gives the image's digest and tag.
func (r *raceTrack) packaged(t *testing.T) (digest, tag string) {
	t.Helper()
	return r.packagedIn(t, "seed")
}

func (r *raceTrack) packagedIn(t *testing.T, clone string) (digest, tag string) {
	t.Helper()
	code, out, told := r.process(filepath.Join(r.dir, clone), "package", "--output", "json")
	var rec struct {
		Candidate string
		Image     struct{ Digest string }
	}
	if err := json.Unmarshal([]byte(out), &rec); code != 0 || err != nil || rec.Image.Digest == "" {
		t.Fatalf("towline package: exit %d, %v\n%s%s", code, err, out, told)
	}
	return rec.Image.Digest, rec.Candidate
}

// A push that is killed in the middle has moved no tag, and the next one sends
// only what had not arrived.
func TestPeersAPushThatIsKilledResumes(t *testing.T) {
	registry := dockerRegistry(t)
	border, address := newCustoms(t, registry)
	track := weighty(t)
	digest, tag := track.packaged(t)

	border.begin(2)
	push := exec.Command("towline", "-C", filepath.Join(track.dir, "seed"), "push", "--to", address+"/shop/risk")
	var told bytes.Buffer
	push.Env, push.Stderr = track.environ, &told
	if err := push.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = push.Process.Kill() })
	select {
	case <-border.held:
	case <-time.After(patience):
		t.Fatalf("no upload was held:\n%s", &told)
	}
	waitFor(t, func() bool { return len(border.digests()) == 2 })
	if err := push.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := push.Wait(); err == nil {
		t.Fatal("the push ended well before it could be killed")
	}
	arrived := border.digests()
	if got := taggedDigest(t, registry, tag); got != "" {
		t.Errorf("after a killed push the tag %s names %s, want no tag", tag, got)
	}

	border.begin(-1)
	if code, _, told := track.process(filepath.Join(track.dir, "seed"), "push", "--to", address+"/shop/risk"); code != 0 {
		t.Fatalf("the push after that: exit %d\n%s", code, told)
	}
	for sent, size := range border.digests() {
		if before, twice := arrived[sent]; twice {
			t.Errorf("%s was sent again: %d bytes, before %d", sent, size, before)
		}
	}
	if got := taggedDigest(t, registry, tag); got != digest {
		t.Errorf("the tag %s names %q, want %s", tag, got, digest)
	}
	readWhole(t, registry, tag)
}

// Two pushes of one image under one tag at once both succeed, and what the tag
// names is whole.
func TestPeersTwoPushesAtOnce(t *testing.T) {
	registry := dockerRegistry(t)
	track := weighty(t)
	digest, tag := track.packaged(t)
	other := filepath.Join(track.dir, "other")
	if out, err := exec.Command("cp", "-r", filepath.Join(track.dir, "seed"), other).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var group sync.WaitGroup
	for _, clone := range []string{"seed", "other"} {
		group.Go(func() {
			if code, _, told := track.process(filepath.Join(track.dir, clone), "push", "--to", registry+"/shop/risk"); code != 0 {
				t.Errorf("push from %s: exit %d\n%s", clone, code, told)
			}
		})
	}
	group.Wait()
	if got := taggedDigest(t, registry, tag); got != digest {
		t.Errorf("the tag %s names %q, want %s", tag, got, digest)
	}
	readWhole(t, registry, tag)
}

// immutable stands before a registry whose tags, once put, cannot be moved, as
// those of ECR can be made; with free, they can.
type immutable struct {
	forward http.Handler
	free    bool
	mu      sync.Mutex
	tags    map[string]bool
}

func (i *immutable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, tag, found := strings.Cut(r.URL.Path, "/manifests/")
	if r.Method != http.MethodPut || !found || strings.HasPrefix(tag, "sha256:") {
		i.forward.ServeHTTP(w, r)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.tags[tag] && !i.free {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"errors":[{"code":"TAG_INVALID","message":"The image tag '%s' already exists in the 'shop/risk' repository and cannot be overwritten because the tag is immutable."}]}`, tag)
		return
	}
	i.tags[tag] = true
	i.forward.ServeHTTP(w, r)
}

// Two processes push different images under one tag at once. Whichever of them
// the tag names is whole, and where tags cannot be moved the other one is told.
func TestPeersTwoPushesOfDifferentImages(t *testing.T) {
	for _, tt := range []struct {
		name string
		free bool
	}{{"tags that can be moved", true}, {"tags that cannot", false}} {
		t.Run(tt.name, func(t *testing.T) {
			registry := dockerRegistry(t)
			proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: registry})
			border := &immutable{forward: proxy, free: tt.free, tags: map[string]bool{}}
			server := httptest.NewServer(border)
			t.Cleanup(server.Close)
			track := weighty(t)
			other := filepath.Join(track.dir, "other")
			if out, err := exec.Command("cp", "-r", filepath.Join(track.dir, "seed"), other).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if err := os.WriteFile(filepath.Join(other, "train.py"), []byte("print(2)\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			digests := map[string]string{}
			for _, clone := range []string{"seed", "other"} {
				digests[clone], _ = track.packagedIn(t, clone)
			}
			if digests["seed"] == digests["other"] {
				t.Fatal("both images are the same")
			}
			codes, said := map[string]int{}, map[string]string{}
			var group sync.WaitGroup
			var mu sync.Mutex
			for clone := range digests {
				group.Go(func() {
					code, _, told := track.process(filepath.Join(track.dir, clone), "push", "--to", server.Listener.Addr().String()+"/shop/risk:1.2.3")
					mu.Lock()
					defer mu.Unlock()
					codes[clone], said[clone] = code, told
				})
			}
			group.Wait()
			named, refused := taggedDigest(t, registry, "1.2.3"), 0
			for clone, digest := range digests {
				switch {
				case codes[clone] == 0 && (tt.free || named == digest):
				case codes[clone] == 8 && !tt.free && named != digest && strings.Contains(said[clone], "hint: the tag belongs to another image and cannot be moved"):
					refused++
				default:
					t.Errorf("push from %s, exit %d, and the tag names %s, not %s:\n%s", clone, codes[clone], named, digest, said[clone])
				}
			}
			if (refused == 1) == tt.free || named != digests["seed"] && named != digests["other"] {
				t.Errorf("%d were refused, and the tag names %s, want one of %v", refused, named, digests)
			}
			readWhole(t, registry, "1.2.3")
		})
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

// taggedDigest asks the registry what a tag names; "" is no such tag.
func taggedDigest(t *testing.T, registry, tag string) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodHead, "http://"+registry+"/v2/shop/risk/manifests/"+tag, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/vnd.docker.distribution.manifest.v2+json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return ""
	}
	return answer.Header.Get("Docker-Content-Digest")
}

// readWhole copies an image with skopeo, which checks every digest.
func readWhole(t *testing.T, registry, tag string) {
	t.Helper()
	copied := exec.Command("skopeo", "copy", "--quiet", "--src-tls-verify=false", "docker://"+registry+"/shop/risk:"+tag, "dir:"+filepath.Join(t.TempDir(), "copy"))
	if out, err := copied.CombinedOutput(); err != nil {
		t.Errorf("skopeo copy: %v\n%s", err, strings.TrimSpace(string(out)))
	}
}
