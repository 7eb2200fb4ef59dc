//go:build peers

package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/towline/towline/internal/gitlabtest"
)

// towns are all that jobs speak to: a GitLab with its projects, a cloud in
// AWS's place, and a registry; and the secrets that each of them gives out.
type towns struct {
	t        *testing.T
	dir      string
	site     *gitlabtest.Site
	cloud    *toll
	registry *toll
	program  string // towline
	tools    string // folder with the linters and the Python of the CI image
	cache    string
	began    time.Time

	projects       map[string]project
	groupVariables map[string]string
	environ        []string // of the runner
	pipelines      int
	secrets        *secretTexts
	said           bytes.Buffer // all that runners printed
}

// The projects: the model's, the platform's, and ours.
var (
	modelAt    = project{gitlabtest.OwnProject, "science/diagnosis"}
	platformAt = project{50, "platform/models"}
	towlineAt  = project{60, componentProject}
)

const sharedCache = "../.cache/towline"

// newTowns starts everything; the model's project lets the platform's in.
func newTowns(t *testing.T) *towns {
	t.Helper()
	w := &towns{t: t, dir: t.TempDir(), began: time.Now(), secrets: &secretTexts{}, projects: map[string]project{}}
	w.cache, w.tools = w.absolute(sharedCache), w.absolute("../.cache/venv/bin")
	w.environ = []string{
		"HOME=" + filepath.Join(w.dir, "home"), "LC_ALL=C.UTF-8", "GIT_CONFIG_NOSYSTEM=1", "TMPDIR=" + filepath.Join(w.dir, "tmp"),
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
		"DOCKER_CONFIG=" + filepath.Join(w.dir, "docker"), "TOWLINE_UV=" + w.absolute("../.cache/bin/uv"), "PYTHONDONTWRITEBYTECODE=1",
	}
	for _, name := range []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"} {
		if value := os.Getenv(name); value != "" {
			w.environ = append(w.environ, name+"="+value)
		}
	}
	w.write(filepath.Join(w.dir, "home", ".gitconfig"), "[user]\n\tname = A\n\temail = a@example.com\n")
	if err := os.MkdirAll(filepath.Join(w.dir, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.program = w.tool("bin/towline")
	w.must("..", "go", "build", "-buildvcs=false", "-o", w.program, "./cmd/towline")
	for _, at := range []project{modelAt, platformAt, towlineAt} {
		w.projects[at.path] = at
		w.must(w.dir, "git", "init", "-q", "--bare", "-b", "main", w.bare(at))
		w.git(w.bare(at), "config", "uploadpack.allowFilter", "true")
		w.git(w.bare(at), "config", "uploadpack.allowAnySHA1InWant", "true")
	}
	w.site = gitlabtest.StartSite(t, filepath.Join(w.dir, "repositories"), modelAt.path)
	w.site.ChangeProject(modelAt.id, func(p *gitlabtest.ProjectSettings) { p.Allow = []int{platformAt.id} })
	w.site.AddProject(gitlabtest.ProjectSettings{ID: platformAt.id, Path: platformAt.path})
	w.site.AddProject(gitlabtest.ProjectSettings{ID: towlineAt.id, Path: towlineAt.path, Public: true})
	w.startRegistry()
	return w
}

func (w *towns) bare(at project) string { return filepath.Join(w.dir, "repositories", at.path+".git") }

// tool is a program of what `make test-peers` has installed.
func (w *towns) tool(path string) string { return w.absolute("../.cache/runner/" + path) }

func (w *towns) absolute(path string) string {
	w.t.Helper()
	found, err := filepath.Abs(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

func (w *towns) must(dir, program string, args ...string) string {
	w.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	if program != "go" {
		cmd.Env = append(slices.Clone(w.environ), "PATH="+os.Getenv("PATH"))
	}
	started := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	if took := time.Since(started); took > time.Second {
		w.t.Logf("%s %s: %s", program, args[0], took.Round(100*time.Millisecond))
	}
	return strings.TrimSpace(string(out))
}

func (w *towns) git(dir string, args ...string) string {
	w.t.Helper()
	return w.must(dir, "git", args...)
}

func (w *towns) write(path, text string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// push makes commits of folders' files in a project, one on the other, as
// somebody would who works there.
func (w *towns) push(at project, message string, change func(folder string)) string {
	w.t.Helper()
	folder := filepath.Join(w.dir, "work", at.path)
	if _, err := os.Stat(folder); err != nil {
		w.must(w.dir, "git", "clone", "-q", w.bare(at), folder)
		w.git(folder, "commit", "-q", "--allow-empty", "-m", "chore: a project")
	}
	change(folder)
	w.git(folder, "add", "--all")
	w.git(folder, "commit", "-q", "--allow-empty", "-m", message)
	w.git(folder, "push", "-q", "origin", "HEAD:main")
	return w.git(folder, "rev-parse", "HEAD")
}

// toll is a gate before a service, where all that is sent to it is written down.
type toll struct {
	URL  string
	host string // 127.0.0.1:PORT

	mu   sync.Mutex
	seen []string // requests, with their bodies
}

// newToll stands before an address. Those who do not pass are refused; answers are shown to learn.
func (w *towns) newToll(to string, pass func(*http.Request) bool, learn func(body []byte)) *toll {
	w.t.Helper()
	address, err := url.Parse(to)
	if err != nil {
		w.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(address)
		r.Out.Host = r.In.Host
	}, ModifyResponse: func(answer *http.Response) error {
		if learn == nil || !strings.Contains(answer.Header.Get("Content-Type"), "xml") {
			return nil
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body = io.NopCloser(bytes.NewReader(body))
		learn(body)
		return err
	}}
	gate := &toll{}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var header bytes.Buffer
		_ = r.Header.Write(&header)
		gate.mu.Lock()
		gate.seen = append(gate.seen, r.Method+" "+r.URL.String()+"\n"+header.String()+"\n"+string(body))
		gate.mu.Unlock()
		if pass != nil && !pass(r) {
			out.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(out, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(out, r)
	}))
	w.t.Cleanup(server.Close)
	gate.URL, gate.host = server.URL, strings.TrimPrefix(server.URL, "http://")
	return gate
}

// requests are those that came so far.
func (g *toll) requests() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.seen)
}

// startRegistry starts Debian's registry, which wants a password.
func (w *towns) startRegistry() {
	w.t.Helper()
	user, password := "towline", rand.Text()
	w.registry = w.newToll("http://"+dockerRegistry(w.t), func(r *http.Request) bool {
		givenUser, given, _ := r.BasicAuth()
		return givenUser == user && given == password
	}, nil)
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	w.secrets.add("password of the registry", password)
	w.secrets.add("login of the registry", auth)
	w.write(filepath.Join(w.dir, "docker", "config.json"), fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, w.registry.host, auth))
}

var credentialOf = regexp.MustCompile(`<(SecretAccessKey|SessionToken)>([^<]+)</`)

// startCloud starts the local cloud, with a file that says whom its roles
// trust, and the buckets that are there. What its STS gives out is secret.
func (w *towns) startCloud(trust string, buckets ...string) {
	w.t.Helper()
	home := filepath.Join(w.dir, "cloud")
	w.write(filepath.Join(home, "trust.json"), trust)
	cmd := exec.Command(w.program, "local", "up", "--port", "0", "--output", "json", "-C", home, "--trust", filepath.Join(home, "trust.json"))
	cmd.Env = append(slices.Clone(w.environ), "PATH="+w.tools+":"+os.Getenv("PATH"), "TOWLINE_CACHE="+w.cache)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	var up struct{ URL string }
	if err := json.NewDecoder(out).Decode(&up); err != nil {
		w.t.Fatalf("towline local up: %v\n%s", err, complaint.String())
	}
	w.cloud = w.newToll(up.URL, nil, func(body []byte) {
		for _, found := range credentialOf.FindAllSubmatch(body, -1) {
			w.secrets.add("AWS "+string(found[1]), string(found[2]))
		}
	})
	for _, bucket := range buckets {
		request, err := http.NewRequest(http.MethodPut, up.URL+"/"+bucket, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			w.t.Fatal(err)
		}
		_ = answer.Body.Close()
	}
	w.groupVariables = map[string]string{
		"AWS_ENDPOINT_URL": w.cloud.URL, "AWS_EC2_METADATA_DISABLED": "true", "TOWLINE_POLL": "200ms", "TOWLINE_CACHE": w.cache,
	}
}
