package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestNoRequestFailsWhileTheEndpointChanges asks an endpoint all the time
// while a better model takes over, and wants an answer from one of the two
// models each time.
func TestNoRequestFailsWhileTheEndpointChanges(t *testing.T) {
	repo := copyTiny(t)
	towline := func(args ...string) []byte { return runTowline(t, repo, args...) }
	var up struct{ URL string }
	if err := json.Unmarshal(towline("local", "up", "--detach", "--output", "json"), &up); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { towline("local", "down") })
	towline("run")

	client := asking{url: up.URL + "/endpoints/tiny-mean-local/invocations", stop: make(chan struct{}), answers: map[float64]int{}}
	client.start(t, 4)
	edit(t, filepath.Join(repo, "towline.yaml"), "shift: 0", "shift: 0.25")
	towline("run")
	time.Sleep(300 * time.Millisecond)
	client.end()

	if len(client.failed) > 0 {
		t.Errorf("%d requests failed, the first with: %s", len(client.failed), client.failed[0])
	}
	if client.answers[2.5] == 0 || client.answers[2.75] == 0 || len(client.answers) != 2 {
		t.Errorf("answers %v, want some of 2.5, then some of 2.75", client.answers)
	}
}

// asking is a number of clients that never rest.
type asking struct {
	url     string
	stop    chan struct{}
	wait    sync.WaitGroup
	mu      sync.Mutex
	answers map[float64]int
	failed  []string
}

func (a *asking) start(t *testing.T, clients int) {
	t.Helper()
	for range clients {
		a.wait.Go(func() {
			for {
				select {
				case <-a.stop:
					return
				case <-time.After(5 * time.Millisecond):
					a.ask()
				}
			}
		})
	}
}

func (a *asking) end() {
	close(a.stop)
	a.wait.Wait()
}

func (a *asking) ask() {
	resp, err := http.Post(a.url, "application/json", bytes.NewReader([]byte("{}")))
	if err != nil {
		a.fail(err.Error())
		return
	}
	defer resp.Body.Close()
	var answer struct{ Mean float64 }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		a.fail(resp.Status)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[answer.Mean]++
}

func (a *asking) fail(why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = append(a.failed, why)
}

// copyTiny is a repository with the smallest model, for one test.
func copyTiny(t *testing.T) string {
	t.Helper()
	repo := t.TempDir()
	if err := os.CopyFS(repo, os.DirFS(filepath.Join("testdata", "tiny"))); err != nil {
		t.Fatal(err)
	}
	return repo
}

// runTowline runs the program in a folder and returns its stdout.
func runTowline(t *testing.T, repo string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("towline", args...)
	cmd.Dir = repo
	cmd.Env = append(os.Environ(), "TOWLINE_CACHE="+filepath.Join(repo, ".cache"), "CI=", "GITLAB_CI=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("towline %v: %v\n%s", args, err, &stderr)
	}
	return out
}

func edit(t *testing.T, path, from, to string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(from)) {
		t.Fatalf("no %q in %s", from, path)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte(from), []byte(to), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}
