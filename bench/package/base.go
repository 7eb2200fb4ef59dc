//go:build linux

package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// baseRelease is the Debian that the base image is made of.
const baseRelease = "bookworm"

// base makes the base image and puts it into the registry: a small Debian with
// Python, as people build on. Packed, it weighs 78 MB. What debootstrap mounts
// in it is this machine's, and is neither packed nor removed.
func (b *bench) base() error {
	site, err := mirror()
	if err != nil {
		return err
	}
	b.baseSize, err = b.pushBase(site)
	return err
}

func (b *bench) pushBase(site string) (int64, error) {
	err := b.sh(b.dir, `
debootstrap --variant=minbase --include=python3-minimal "$RELEASE" base "$SITE"
rm -rf --one-file-system base/var/cache/apt/archives base/dev
tar --one-file-system --sort=name --numeric-owner --format=gnu -C base -cf base.tar .
"$CRANE" append --insecure -f base.tar -t "$TO"
"$CRANE" mutate --insecure --set-platform "$PLATFORM" -t "$TO" "$TO"
rm -rf --one-file-system base base.tar`,
		"RELEASE="+baseRelease, "SITE="+site, "CRANE="+b.crane, "TO="+b.direct+"/base:1", "PLATFORM=linux/"+runtime.GOARCH)
	if err != nil {
		return 0, err
	}
	return size(filepath.Join(b.dir, "registry")), nil
}

// mirror is where this machine's own packages come from.
func mirror() (string, error) {
	sites, err := exec.Command("apt-get", "indextargets", "--format", "$(SITE)",
		"Created-By: Packages", "Release: "+baseRelease, "Component: main").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for a mirror: %w", err)
	}
	site, _, _ := strings.Cut(string(sites), "\n")
	if site == "" {
		return "", errors.New("apt knows no mirror of " + baseRelease + " on this machine")
	}
	return site, nil
}
