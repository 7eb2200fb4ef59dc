package cli_test

import (
	"bytes"
	"encoding/base64"
	"errors"
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

// Logins are found in the variable that GitLab's runner reads too, and in the
// files of Docker and Podman; none goes to another registry, and none is said.
func TestLoginsOfARegistry(t *testing.T) {
	for _, tt := range []struct {
		name     string
		file     string // in the home, or ""
		variable string // that names the file, or its folder; DOCKER_AUTH_CONFIG holds the text
		value    string // in the home
		want     string
	}{
		{"DOCKER_AUTH_CONFIG", "", "DOCKER_AUTH_CONFIG", "", "deploy:hush"},
		{"a file of Docker", ".docker/config.json", "", "", "deploy:hush"},
		{"a file of Docker elsewhere", "elsewhere/config.json", "DOCKER_CONFIG", "elsewhere", "deploy:hush"},
		{"a file of Podman", "run/containers/auth.json", "XDG_RUNTIME_DIR", "run", "deploy:hush"},
		{"a file of Podman elsewhere", "auth/file.json", "REGISTRY_AUTH_FILE", "auth/file.json", "deploy:hush"},
		{"no login at all", "", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			own, ownLogin := asking(t)
			other, otherLogin := asking(t)
			text := `{"auths": {"` + own + `": {"auth": "` + base64.StdEncoding.EncodeToString([]byte("deploy:hush")) + `"}}}`
			home := t.TempDir()
			environ := []string{"HOME=" + home, "TOWLINE_CACHE=" + t.TempDir()}
			// The library reads these of the process.
			for _, name := range []string{"DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_AUTH_CONFIG"} {
				t.Setenv(name, "")
			}
			t.Setenv("HOME", home)
			if tt.value != "" {
				t.Setenv(tt.variable, filepath.Join(home, tt.value))
			}
			if tt.variable == "DOCKER_AUTH_CONFIG" {
				environ = append(environ, tt.variable+"="+text)
			}
			if tt.file != "" {
				file := filepath.Join(home, filepath.FromSlash(tt.file))
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			for _, to := range []struct {
				address string
				login   func() string
				want    string
			}{{own, ownLogin, tt.want}, {other, otherLogin, ""}} {
				code, said := verifying(to.address, environ)
				if code != 4 || to.login() != to.want || strings.Contains(said, "hush") {
					t.Errorf("verify ended with %d, want 4, and gave %q, want %q; said: %s", code, to.login(), to.want, said)
				}
			}
		})
	}
}

func verifying(address string, environ []string) (code int, said string) {
	var out bytes.Buffer
	code = cli.Main(cli.Process{
		Args: []string{"verify", address + "/shop/tools:1.0.0"}, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out,
		Environ: environ, Version: "test",
	})
	return code, out.String()
}

func TestALoginThatIsNone(t *testing.T) {
	address, _ := asking(t)
	code, said := verifying(address, []string{"HOME=" + t.TempDir(), "TOWLINE_CACHE=" + t.TempDir(), "DOCKER_AUTH_CONFIG=hush"})
	want := "towline: error: read DOCKER_AUTH_CONFIG: it is no configuration file of Docker\n" +
		"towline: hint: correct the variable: wanted {\"auths\": {\"HOST\": {\"auth\": \"…\"}}}\n"
	if code != 2 || said != want {
		t.Errorf("verify ended with %d and said %q, want %q", code, said, want)
	}
}
