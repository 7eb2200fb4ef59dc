//go:build peers

package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/bundle"
)

// The image of the CI jobs, packaged by towline itself over a Debian, goes
// through a registry, skopeo and umoci to runc, and takes a model all the way
// in it: as a user who is not root, in a folder that belongs to somebody else.
func TestPeersTowlinePackagesItsOwnImage(t *testing.T) {
	b := newImageBuilder(t)
	source := b.imageSource()
	towline := filepath.Join(source, "bin", "towline")
	reference := dockerRegistry(t) + "/towline/ci:1.2.3"
	b.run(source, towline, "package", "--target", "local", "--base", "oci:"+b.pythonBase())
	b.run(source, towline, "push", "--to", reference)

	digest, _ := bundle.LayoutDigest(filepath.Join(source, ".towline", "image"))
	found := b.run(b.root, "skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", "docker://"+reference)
	if found != digest {
		t.Errorf("under the tag skopeo finds %s, want %s", found, digest)
	}
	job := b.runcJob(reference, b.repository())
	for _, tt := range []struct{ command, want string }{
		{"id -u", "1000"},
		{"towline --version", "towline"},
		{"uv --version", "uv " + pinned(t, "uv")},
		{"ruff --version", "ruff " + pinned(t, "ruff")},
		{"pylint --version", "pylint " + pinned(t, "pylint")},
		{"python3.11 --version", "Python 3.11."},
		{"git log -1 --format=%s", "feat: tell malignant from benign tumours"},
		{"python3.11 -c 'import sys; sys.exit(any(\"towline\" in p for p in sys.path))' && echo clean", "clean"},
		{"touch \"$HOME/x\" && echo \"$HOME\"", "/opt/towline/home"},
	} {
		if got := job(tt.command); !strings.HasPrefix(got, tt.want) {
			t.Errorf("in the image, %s says %q, want %q", tt.command, got, tt.want)
		}
	}
	if got := job("towline run --target local"); !strings.Contains(got, "malignant") {
		t.Errorf("towline run in the image printed no prediction:\n%s", got)
	}
	if got := job("towline lint --output json || true"); strings.Count(got, `"state": "ran"`) != 2 {
		t.Errorf("towline lint in the image did not run pylint and ruff:\n%s", got)
	}
}

// imageSource is the folder that the image is packaged from, with a fresh binary.
func (b imageBuilder) imageSource() string {
	b.t.Helper()
	source := b.t.TempDir()
	for _, file := range []string{"towline.yaml", "requirements.txt", ".towlineignore"} {
		text, err := os.ReadFile(filepath.Join(b.root, "image", file))
		if err != nil {
			b.t.Fatal(err)
		}
		b.write(filepath.Join(source, file), text)
	}
	b.run(b.root, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-o", filepath.Join(source, "bin", "towline"), "./cmd/towline")
	return source
}

// runcJob runs shell commands as a GitLab job does: in containers of the image,
// with the repository mounted, which belongs to another user.
func (b imageBuilder) runcJob(reference, repository string) func(command string) string {
	b.t.Helper()
	folder := b.t.TempDir()
	b.run(b.root, "skopeo", "copy", "--quiet", "--src-tls-verify=false", "docker://"+reference, "oci:"+folder+"/image:ci")
	b.run(b.root, "umoci", "unpack", "--image", folder+"/image:ci", folder+"/bundle")
	b.run(b.root, "chmod", "-R", "a+rwX", repository)
	return func(command string) string {
		b.t.Helper()
		b.containerConfig(filepath.Join(folder, "bundle", "config.json"), repository, command)
		name := "towline-ci-" + time.Now().Format("150405.000000000")
		b.t.Cleanup(func() { _ = exec.Command("runc", "--root", folder+"/state", "delete", "--force", name).Run() })
		return b.run(folder, "runc", "--root", folder+"/state", "run", "--bundle", folder+"/bundle", name)
	}
}

// containerConfig makes umoci's configuration one for a job: this machine's
// network, a mounted repository, no control groups, a command.
func (b imageBuilder) containerConfig(file, repository, command string) {
	b.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		b.t.Fatal(err)
	}
	process, linux := config["process"].(tree), config["linux"].(tree)
	process["terminal"], process["cwd"], process["args"] = false, jobFolder, []string{"sh", "-c", command}
	linux["namespaces"] = slices.DeleteFunc(linux["namespaces"].([]any), func(n any) bool { return n.(tree)["type"] == "network" })
	delete(linux, "resources")
	mounts := slices.DeleteFunc(config["mounts"].([]any), func(m any) bool {
		return m.(tree)["type"] == "cgroup" || m.(tree)["destination"] == jobFolder || m.(tree)["destination"] == "/etc/resolv.conf"
	})
	for at, from := range map[string]string{jobFolder: repository, "/etc/resolv.conf": "/etc/resolv.conf"} {
		mounts = append(mounts, tree{"destination": at, "type": "bind", "source": from, "options": []string{"rbind", "rw"}})
	}
	config["mounts"] = mounts
	if text, err = json.Marshal(config); err != nil {
		b.t.Fatal(err)
	}
	b.write(file, text)
}
