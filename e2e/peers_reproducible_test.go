//go:build peers

package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// builder is a user of this machine with a home of their own.
type builder struct {
	name     string
	uid      uint32
	umask    int
	timeZone string
	locale   string
	folder   string // of the clone, in the home
}

// Two users, each with a clone, a home, a umask, a time zone and caches of
// their own, get the same image of a model with real dependencies.
func TestPeersTwoBuildsGiveTheSameDigest(t *testing.T) {
	b := newImageBuilder(t)
	ground, err := os.MkdirTemp("", "towline-builds-*") // a test's own folder is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(ground) })
	for _, file := range []string{b.pythonBase(), commandOf(t, "towline"), uvProgram(t)} {
		b.run(ground, "cp", "-rL", file, ground)
	}
	b.run(ground, "mv", filepath.Base(b.pythonBase()), "base")
	b.run(ground, "chmod", "-R", "a+rX", ground)
	history := filepath.Join(ground, "history.bundle")
	b.run(realDependencies(b), "git", "bundle", "create", "--quiet", history, "main")

	var digests, candidates []string
	for _, who := range []builder{
		{"root", 0, 0o022, "UTC", "C", "clone"},
		{"another", 4711, 0o077, "Asia/Kathmandu", "C.UTF-8", "a folder/with a longer name"},
	} {
		digest, candidate := who.build(t, ground, history)
		digests, candidates = append(digests, digest), append(candidates, candidate)
	}
	if digests[0] != digests[1] || candidates[0] != candidates[1] {
		t.Errorf("two builds gave %q of %q, want one image", digests, candidates)
	}
}

// realDependencies is an example that needs pandas too, in a repository.
func realDependencies(b imageBuilder) string {
	b.t.Helper()
	dir := b.repository()
	file, err := os.OpenFile(filepath.Join(dir, "requirements.txt"), os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = file.WriteString("pandas==2.3.3\n")
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.run(dir, "git", "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "--all", "--message", "feat: frames")
	return dir
}

// build packages a clone, with nothing cached but the wheels as they came.
func (u builder) build(t *testing.T, ground, history string) (digest, candidate string) {
	t.Helper()
	home := filepath.Join(ground, u.name)
	clone := filepath.Join(home, u.folder)
	for _, folder := range []string{home, filepath.Join(ground, "wheels")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "-R", userName(u.uid), home, filepath.Join(ground, "wheels")).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v\n%s", err, out)
	}
	u.run(t, ground, home, "git", "clone", "--quiet", "--branch", "main", history, clone)
	out := u.run(t, ground, clone, filepath.Join(ground, "towline"), "package", "--output", "json")
	var rec struct {
		Candidate string
		Image     struct{ Digest string }
	}
	if err := json.Unmarshal(out, &rec); err != nil || rec.Image.Digest == "" {
		t.Fatalf("%s: towline package says %v\n%s", u.name, err, out)
	}
	return rec.Image.Digest, rec.Candidate
}

// run runs a program as the user.
func (u builder) run(t *testing.T, ground, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	home := filepath.Join(ground, u.name)
	cmd.Dir, cmd.Env = dir, []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + home, "TZ=" + u.timeZone, "LC_ALL=" + u.locale,
		"GIT_CONFIG_NOSYSTEM=1", "TOWLINE_UV=" + filepath.Join(ground, "uv"), "TOWLINE_CACHE=" + filepath.Join(home, "cache"),
		"UV_CACHE_DIR=" + filepath.Join(ground, "wheels"), "TOWLINE_LOCAL_BASE=oci:" + filepath.Join(ground, "base"), "TOWLINE_TARGET=local",
	}
	cmd.Env = append(cmd.Env, indexes()...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: u.uid, Gid: u.uid}}
	former := syscall.Umask(u.umask)
	err := cmd.Start()
	syscall.Umask(former)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		t.Fatalf("%s: %s: %v\n%s", u.name, cmd, err, &stderr)
	}
	return stdout.Bytes()
}

func userName(uid uint32) string { return strconv.Itoa(int(uid)) + ":" + strconv.Itoa(int(uid)) }

// commandOf is where a program lies.
func commandOf(t *testing.T, name string) string {
	t.Helper()
	found, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func uvProgram(t *testing.T) string {
	t.Helper()
	if named := os.Getenv("TOWLINE_UV"); named != "" {
		return named
	}
	return commandOf(t, "uv")
}

// indexes are what installers need to know of this machine.
func indexes() []string {
	var known []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		switch {
		case slices.Contains([]string{"UV_CACHE_DIR", "UV_LINK_MODE"}, name):
		case slices.Contains([]string{"SSL_CERT_FILE", "SSL_CERT_DIR"}, name), strings.HasPrefix(name, "PIP_"), strings.HasPrefix(name, "UV_"):
			known = append(known, variable)
		}
	}
	return known
}
