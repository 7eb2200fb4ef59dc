//go:build peers

package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	debianRelease = "bookworm"
	baseImage     = "localhost/towline-base:" + debianRelease
	jobImage      = "localhost/towline-job:test"
	jobFolder     = "/builds/breast-cancer"
)

// The image of the CI jobs is built without a daemon over a Debian of its own,
// and takes a model all the way in it, as a user who is not root in a folder
// that belongs to somebody else.
func TestPeersImageRunsAModel(t *testing.T) {
	b := newImageBuilder(t)
	b.makeBase()
	b.buildah("build", "--isolation", "chroot", "--layers", "--quiet",
		"--build-arg", "BASE="+baseImage, "--tag", jobImage, b.context())

	container := b.buildah("from", jobImage)
	t.Cleanup(func() { b.buildah("rm", container) })
	b.buildah("add", "--quiet", "--chown", "root:root", container, b.repository(), jobFolder)
	b.buildah("run", "--isolation", "chroot", "--user", "root", container, "--", "chmod", "-R", "a+rwX", jobFolder)

	job := func(args ...string) string {
		t.Helper()
		base := []string{"run", "--isolation", "chroot", "--workingdir", jobFolder, container, "--"}
		return b.buildah(append(base, args...)...)
	}
	for _, tt := range []struct{ command, want string }{
		{"id -un", "towline"},
		{"towline --version", "towline"},
		{"uv --version", "uv " + pinned(t, "uv")},
		{"ruff --version", "ruff " + pinned(t, "ruff")},
		{"pylint --version", "pylint " + pinned(t, "pylint")},
		{"python3.11 --version", "Python 3.11."},
	} {
		if got := job(strings.Fields(tt.command)...); !strings.HasPrefix(got, tt.want) {
			t.Errorf("in the image, %s says %q, want %q", tt.command, got, tt.want)
		}
	}
	if got := job("towline", "run", "--target", "local"); !strings.Contains(got, "malignant") {
		t.Errorf("towline run in the image printed no prediction:\n%s", got)
	}
}

// pinned gives the version of a tool that e2e/requirements.txt names.
func pinned(t *testing.T, tool string) string {
	t.Helper()
	text, err := os.ReadFile("requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if version, ok := strings.CutPrefix(line, tool+"=="); ok {
			return strings.TrimSpace(version)
		}
	}
	t.Fatalf("e2e/requirements.txt does not pin %s", tool)
	return ""
}

// imageBuilder builds images with buildah, with all of its state in .cache/peers.
type imageBuilder struct {
	t     *testing.T
	cache string
	root  string // of the project
}

func newImageBuilder(t *testing.T) imageBuilder {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("debootstrap and buildah's chroot need root: run make test-peers as root")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(root, ".cache", "peers")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	return imageBuilder{t: t, cache: cache, root: root}
}

// run gives what a program prints on stdout; stderr is shown if it fails.
func (b imageBuilder) run(dir, name string, args ...string) string {
	b.t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stderr = dir, &stderr
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("%s: %v\n%s%s", cmd, err, out, &stderr)
	}
	return strings.TrimSpace(string(out))
}

func (b imageBuilder) buildah(args ...string) string {
	b.t.Helper()
	state := []string{
		"--root", filepath.Join(b.cache, "storage"),
		"--runroot", filepath.Join(b.cache, "run"),
	}
	return b.run(b.root, "buildah", append(state, args...)...)
}

// makeBase makes a Debian out of packages, from the mirror that this machine
// uses, which trusts what this machine trusts.
func (b imageBuilder) makeBase() {
	b.t.Helper()
	if b.buildah("images", "--quiet", "--filter", "reference="+baseImage) != "" {
		return
	}
	tree := filepath.Join(b.cache, debianRelease)
	if _, err := os.Stat(tree + ".done"); err != nil {
		b.run(b.root, "rm", "-rf", tree)
		b.run(b.root, "debootstrap", "--variant=minbase", debianRelease, tree, b.mirror())
		b.write(tree+".done", nil)
	}
	container := b.buildah("from", "scratch")
	b.buildah("add", "--quiet", container, tree, "/")
	if certificates := machineCertificates(); certificates != "" {
		b.buildah("add", "--quiet", container, certificates, "/usr/local/share/ca-certificates/machine.crt")
	}
	b.buildah("commit", "--quiet", "--rm", container, baseImage)
}

// mirror is where this machine's own packages come from.
func (b imageBuilder) mirror() string {
	b.t.Helper()
	sites := b.run(b.root, "apt-get", "indextargets", "--format", "$(SITE)",
		"Created-By: Packages", "Release: "+debianRelease, "Component: main")
	site, _, _ := strings.Cut(sites, "\n")
	if site == "" {
		b.t.Fatalf("apt knows no mirror of %s on this machine", debianRelease)
	}
	return site
}

func machineCertificates() string {
	for _, file := range []string{os.Getenv("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt"} {
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

// context is the folder that the Dockerfile copies from, with a fresh binary.
func (b imageBuilder) context() string {
	b.t.Helper()
	dir := b.t.TempDir()
	for _, file := range []string{"Dockerfile", ".dockerignore", "e2e/requirements.txt"} {
		text, err := os.ReadFile(filepath.Join(b.root, file))
		if err != nil {
			b.t.Fatal(err)
		}
		b.write(filepath.Join(dir, file), text)
	}
	b.run(b.root, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-o", filepath.Join(dir, "bin", "towline"), "./cmd/towline")
	return dir
}

// repository is an example with a history of its own.
func (b imageBuilder) repository() string {
	b.t.Helper()
	dir := filepath.Join(b.t.TempDir(), "breast-cancer")
	b.run(b.root, "cp", "-r", "examples/breast-cancer", dir)
	b.run(dir, "git", "init", "--quiet", "--initial-branch", "main")
	b.run(dir, "git", "add", "--all")
	b.run(dir, "git", "-c", "user.name=test", "-c", "user.email=test@example.com",
		"commit", "--quiet", "--message", "feat: tell malignant from benign tumours")
	return dir
}

func (b imageBuilder) write(file string, text []byte) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
