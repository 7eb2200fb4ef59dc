//go:build peers

package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/evidence"
	"gitlab.com/towline/towline/pkg/plan"
)

// Debian's docker-registry cannot be asked what refers to an image: evidence
// is found through a tag, which is no hindrance to who pulls the image.
func TestPeersEvidenceInARegistryWithoutReferrers(t *testing.T) {
	address := dockerRegistry(t)
	ctx := context.Background()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "train.py"), []byte("print()\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	pack := plan.Package{
		Project: "shop", Model: "url-risk", Root: root, Path: ".", Base: bundle.Scratch, Python: "3.11",
		Platform: "linux/" + runtime.GOARCH, Train: []string{"python", "train.py"}, Layout: filepath.Join(t.TempDir(), "image"),
	}
	b := bundle.New(bundle.Options{Cache: t.TempDir(), Environ: os.Environ()})
	packed, err := b.Package(ctx, pack)
	if err != nil {
		t.Fatal(err)
	}
	repository, digest := address+"/shop/url-risk", packed.Yields["digest"]
	push := plan.Push{Layout: pack.Layout, Repository: repository, Digest: plan.Text(digest), Tags: []string{"1.2.3"}}
	if _, err := b.Push(ctx, push); err != nil {
		t.Fatal(err)
	}
	key := peersKey(t)
	attest := plan.Attest{
		Layout: pack.Layout, Repository: repository, Digest: plan.Text(digest), Key: "a key",
		Project: "shop", Model: "url-risk", Version: "1.2.3", Identity: "abc",
	}
	for _, want := range []string{"bill of materials with 0 components, provenance, signed with a key", "the registry has the evidence already"} {
		receipt, err := b.Attest(ctx, attest, key)
		if err != nil || receipt.Said != want {
			t.Fatalf("Attest() = %q, %v, want %q", receipt.Said, err, want)
		}
	}
	report, err := b.Verify(ctx, bundle.Verification{Image: repository + ":1.2.3", Wanted: evidence.Wanted{Key: key.Public(), Identity: "abc"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range report.Checks {
		if check.Status != evidence.Passed {
			t.Errorf("%s %s: %s", check.Name, check.Status, check.Text)
		}
	}
	skopeo := exec.Command("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", "docker://"+repository+":1.2.3")
	if out, err := skopeo.Output(); err != nil || strings.TrimSpace(string(out)) != digest {
		t.Errorf("skopeo finds %q, %v under the tag, want %s", out, err, digest)
	}
}

func peersKey(t *testing.T) evidence.Key {
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

// dockerRegistry starts Debian's registry on a free port, and gives its address.
func dockerRegistry(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	config := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s/data}}\nhttp: {addr: %q}\n", folder, address)
	if err := os.WriteFile(filepath.Join(folder, "config.yml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	registry := exec.Command("docker-registry", "serve", filepath.Join(folder, "config.yml"))
	if err := registry.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = registry.Process.Kill()
		_ = registry.Wait()
	})
	for range 100 {
		if answer, err := http.Get("http://" + address + "/v2/"); err == nil {
			_ = answer.Body.Close()
			return address
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("docker-registry did not start")
	return ""
}
