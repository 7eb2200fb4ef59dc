//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// peer is another tool that makes the same image: the base, the dependencies,
// the code. It is given the dependencies installed, which towline does itself.
type peer struct {
	name string
	do   func(b *bench, s source, repository, work string) error
}

var (
	cranePeer   = peer{"crane", (*bench).withCrane}
	umociPeer   = peer{"umoci+skopeo", (*bench).withUmoci}
	buildahPeer = peer{"buildah", (*bench).withBuildah}
)

// by lets a peer do it on a fresh machine: nothing of an earlier run is left to it.
func (b *bench) by(p peer, s source, repository string) (figure, error) {
	work, err := os.MkdirTemp(b.dir, "peer-")
	if err != nil {
		return figure{}, err
	}
	f, err := b.measure(func() error { return p.do(b, s, repository, work) })
	if err != nil {
		return f, fmt.Errorf("%s: %w", p.name, err)
	}
	return f, nil
}

// sh runs a shell script, which ends with its first failure.
func (b *bench) sh(dir, script string, env ...string) error {
	cmd := exec.CommandContext(b.ctx, "/bin/sh", "-euc", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s%s", err, script, out)
	}
	return nil
}

// tars makes two archives that are the same for the same files.
const tars = `
det="--sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner --format=gnu"
tar $det --transform 's,^\.,opt/towline/lib,' -C "$DEPS" -cf deps.tar .
tar $det --transform 's,^\.,opt/program,' -C "$CODE" -cf code.tar .
`

func (b *bench) peerEnv(s source, repository string) []string {
	return []string{"DEPS=" + s.installed, "CODE=" + s.code, "BASE=" + b.proxied + "/base:1", "TO=" + b.proxied + "/" + repository + ":1", "CRANE=" + b.crane, "HOME=" + b.dir}
}

func (b *bench) withCrane(s source, repository, work string) error {
	return b.sh(work, tars+`
"$CRANE" append --insecure -b "$BASE" -f deps.tar -f code.tar -t "$TO"
"$CRANE" mutate --insecure --workdir /opt/program --env PYTHONPATH=/opt/program:/opt/towline/lib -t "$TO" "$TO"
`, b.peerEnv(s, repository)...)
}

func (b *bench) withUmoci(s source, repository, work string) error {
	return b.sh(work, tars+`
skopeo copy --quiet --src-tls-verify=false docker://"$BASE" oci:image:1
umoci raw add-layer --image image:1 deps.tar
umoci raw add-layer --image image:1 code.tar
umoci config --image image:1 --config.workingdir /opt/program --config.env PYTHONPATH=/opt/program:/opt/towline/lib
skopeo copy --quiet --dest-tls-verify=false oci:image:1 docker://"$TO"
`, b.peerEnv(s, repository)...)
}

func (b *bench) withBuildah(s source, repository, work string) error {
	file := strings.Join([]string{
		"FROM " + b.proxied + "/base:1", "COPY --from=deps . /opt/towline/lib/", "COPY --from=code . /opt/program/",
		"ENV PYTHONPATH=/opt/program:/opt/towline/lib", "WORKDIR /opt/program", "",
	}, "\n")
	if err := os.WriteFile(filepath.Join(work, "Dockerfile"), []byte(file), 0o644); err != nil {
		return err
	}
	return b.sh(work, `
opt="--root $PWD/root --runroot $PWD/run --storage-driver overlay"
buildah $opt build --quiet --isolation chroot --layers --timestamp 1700000000 --tls-verify=false \
  --build-context deps="$DEPS" --build-context code="$CODE" --ignorefile /dev/null -t "$TO" .
buildah $opt push --quiet --tls-verify=false "$TO"
`, b.peerEnv(s, repository)...)
}
