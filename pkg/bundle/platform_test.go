package bundle_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
)

// The local environment's image is for the machine that runs it as a process,
// whichever that is; all others are for the platform that is asked for, never
// for the machine that packages.
func TestDependenciesAreForWhoRunsThem(t *testing.T) {
	for _, tt := range []struct {
		name, host, localBase, base string
		platform, wheels            string // wheels: what uv is told; "" is nothing
	}{
		{"locally on Linux", "linux/amd64", "", "scratch", "linux/amd64", ""},
		{"locally on Linux on ARM", "linux/arm64", "", "scratch", "linux/arm64", ""},
		{"locally on a Mac", "darwin/arm64", "", "scratch", "darwin/arm64", ""},
		{"locally on an old Mac", "darwin/amd64", "", "scratch", "darwin/amd64", ""},
		{"in a local container on a Mac", "darwin/arm64", "oci:base", "", "linux/arm64", "aarch64-manylinux_2_28"},
		{"in a local container on Linux", "linux/amd64", "oci:base", "", "linux/amd64", "x86_64-manylinux_2_28"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			system, processor, _ := strings.Cut(tt.host, "/")
			platform := bundle.LocalPlatform(tt.localBase, system, processor)
			if platform != tt.platform {
				t.Fatalf("LocalPlatform() = %s, want %s", platform, tt.platform)
			}
			wheels := wheelsAskedFor(t, tt.host, tt.base, platform)
			if wheels != tt.wheels {
				t.Errorf("uv is told the platform %q, want %q", wheels, tt.wheels)
			}
		})
	}
	for _, tt := range []struct{ host, platform, wheels string }{
		{"darwin/arm64", "linux/amd64", "x86_64-manylinux_2_28"},
		{"darwin/arm64", "linux/arm64", "aarch64-manylinux_2_28"},
		{"linux/arm64", "linux/amd64", "x86_64-manylinux_2_28"},
	} {
		if wheels := wheelsAskedFor(t, tt.host, "", tt.platform); wheels != tt.wheels {
			t.Errorf("for %s on %s uv is told the platform %q, want %q", tt.platform, tt.host, wheels, tt.wheels)
		}
	}
}

// wheelsAskedFor packages on a machine, and gives the platform that uv was
// told. Base "" is one in a registry.
func wheelsAskedFor(t *testing.T, host, base, platform string) string {
	t.Helper()
	root := repository(t)
	write(t, root, map[string]string{"requirements.txt": "towdep==1.0\n"})
	o, address := serve(t, options(t), nil)
	o.Host = host
	told := filepath.Join(t.TempDir(), "told")
	o.Environ = fakeUV(t, "echo \"$@\" > "+told+"\nwhile [ \"$1\" != --target ]; do shift; done\nmkdir -p $2/x\ntouch $2/x/m.txt\n")
	a := action(t, root)
	a.Base, a.Platform = base, platform
	if base == "" {
		publish(t, address, "python:3.11", baseImage(t, platform))
		a.Base = stableName + "/python:3.11"
	}
	pack(t, o, a)
	_, _, config := readManifest(t, a.Layout)
	if got := config.OS + "/" + config.Architecture; got != platform {
		t.Errorf("the image is for %s, want %s", got, platform)
	}
	text, err := os.ReadFile(told)
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(text))
	for i, word := range words {
		if word == "--python-platform" {
			return words[i+1]
		}
	}
	return ""
}

// Scratch is the machine's own, so there is nothing to resolve a Mac's wheels
// with on Linux: that is said, not guessed.
func TestAnotherMachineIsNotGuessed(t *testing.T) {
	root := repository(t)
	write(t, root, map[string]string{"requirements.txt": "towdep==1.0\n"})
	o, a := options(t), action(t, root)
	o.Host, a.Platform = "linux/amd64", "darwin/arm64"
	_, err := bundle.New(o).Package(context.Background(), a)
	wantFault(t, err, fault.Repository, "install for platform darwin/arm64: wanted linux/amd64 or linux/arm64", "image.platforms")
}
