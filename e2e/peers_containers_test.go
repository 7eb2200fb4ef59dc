//go:build peers

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestPeerContainers runs the scripts about images with other people's tools:
// a registry, skopeo, umoci and runc.
func TestPeerContainers(t *testing.T) {
	base := newImageBuilder(t).pythonBase()
	runScripts(t, filepath.Join("testdata", "containers"), map[string]func(*testscript.TestScript, bool, []string){
		"base":        func(ts *testscript.TestScript, _ bool, args []string) { ts.Setenv(args[0], "oci:"+base) },
		"registry":    registry,
		"nocontainer": noContainer,
		"field":       field,
	})
}

// registry runs Debian's docker-registry for the rest of the script and names
// its address: registry VARIABLE.
func registry(ts *testscript.TestScript, _ bool, args []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	address := listener.Addr().String()
	ts.Check(listener.Close())
	config := ts.MkAbs("registry.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", ts.MkAbs("registry"), address)
	ts.Check(os.WriteFile(config, []byte(text), 0o644))
	cmd := exec.Command("docker-registry", "serve", config)
	ts.Check(cmd.Start())
	ts.Defer(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ask(ts, false, []string{"http://" + address + "/v2/"})
	ts.Setenv(args[0], address)
}

// pythonBase is the folder of an OCI layout: a Debian with what the base of
// image/towline.yaml has of it, git and its Python, and nothing else that a
// model needs. It trusts what this machine trusts.
func (b imageBuilder) pythonBase() string {
	b.t.Helper()
	layout := filepath.Join(b.cache, debianRelease+"-scm-oci")
	if _, err := os.Stat(filepath.Join(layout, "index.json")); err == nil {
		return layout
	}
	tree := filepath.Join(b.cache, debianRelease+"-scm")
	if _, err := os.Stat(tree + ".done"); err != nil {
		b.run(b.root, "rm", "-rf", tree)
		b.run(b.root, "debootstrap", "--variant=minbase", "--include=ca-certificates,git,mercurial", debianRelease, tree, b.mirror())
		b.run(b.root, "rm", "-rf", tree+"/var/cache/apt", tree+"/var/lib/apt/lists", tree+"/dev")
		if certificates := machineCertificates(); certificates != "" {
			b.run(b.root, "cp", certificates, tree+"/etc/ssl/certs/ca-certificates.crt")
		}
		b.write(tree+".done", nil)
	}
	container := b.buildah("from", "scratch")
	b.buildah("add", "--quiet", container, tree, "/")
	image := "localhost/towline-scm:" + debianRelease
	b.buildah("commit", "--quiet", "--rm", container, image)
	b.run(b.root, "rm", "-rf", layout+".new")
	b.buildah("push", "--quiet", image, "oci:"+layout+".new")
	b.run(b.root, "mv", layout+".new", layout)
	return layout
}

// runcContainers are the containers that runc knows of below a cache.
func runcContainers(ts *testscript.TestScript, cache string) []string {
	found, err := filepath.Glob(filepath.Join(cache, "runtime", "containers", "*", "state", "*"))
	ts.Check(err)
	return found
}

// noContainer wants no container of runc's below a cache: nocontainer CACHE.
func noContainer(ts *testscript.TestScript, neg bool, args []string) {
	found := runcContainers(ts, ts.MkAbs(args[0]))
	if (len(found) > 0) != neg {
		ts.Fatalf("found the containers %s", strings.Join(found, ", "))
	}
}

// field names a text in a JSON document: field VARIABLE FILE PATH.
func field(ts *testscript.TestScript, _ bool, args []string) {
	var at any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &at))
	for name := range strings.SplitSeq(args[2], ".") {
		object, ok := at.(map[string]any)
		if !ok {
			ts.Fatalf("%s: no %s", args[1], args[2])
		}
		at = object[name]
	}
	text, ok := at.(string)
	if !ok || text == "" {
		ts.Fatalf("%s: no text %s", args[1], args[2])
	}
	ts.Setenv(args[0], text)
}
