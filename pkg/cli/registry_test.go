package cli_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gitlab.com/towline/towline/pkg/cli"
)

// asking is a registry that wants a login, remembers the one it is given, and
// takes nothing.
func asking(t *testing.T) (address string, given func() string) {
	t.Helper()
	var mu sync.Mutex
	login := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if user, password, ok := r.BasicAuth(); ok {
			login = user + ":" + password
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), func() string {
		mu.Lock()
		defer mu.Unlock()
		return login
	}
}

// A job's own registry gets the login that GitLab gives the job; no other does.
func TestAJobsOwnRegistry(t *testing.T) {
	folder := t.TempDir()
	for file, text := range map[string]string{
		"towline.yaml": "apiVersion: towline/v1\nproject: shop\nmodels:\n  - {name: tools, image: {programs: [bin]}}\n",
		"bin/greet":    "#!/bin/sh\necho hello\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	own, ownLogin := asking(t)
	other, otherLogin := asking(t)
	environ := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TOWLINE_CACHE=" + t.TempDir(),
		"CI_REGISTRY=" + own, "CI_REGISTRY_USER=gitlab-ci-token", "CI_REGISTRY_PASSWORD=a-job-token",
	}
	towline := func(args ...string) (int, string) {
		var stdout, stderr bytes.Buffer
		code := cli.Main(cli.Process{
			Args: append(args, "-C", folder), Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Environ: environ, Version: "test",
		})
		return code, stdout.String() + stderr.String()
	}
	if code, said := towline("package"); code != 0 {
		t.Fatalf("package ended with %d: %s", code, said)
	}
	for _, tt := range []struct {
		address string
		login   func() string
		want    string
	}{{own, ownLogin, "gitlab-ci-token:a-job-token"}, {other, otherLogin, ""}} {
		code, said := towline("push", "--to", tt.address+"/shop/tools:1.0.0")
		if code != 4 {
			t.Errorf("push to a registry that refuses ended with %d, want 4: %s", code, said)
		}
		if tt.login() != tt.want || strings.Contains(said, "a-job-token") {
			t.Errorf("the registry was given %q, want %q; said: %s", tt.login(), tt.want, said)
		}
	}
}
