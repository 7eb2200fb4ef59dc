// Package entries_test runs the Python tests of the entries, which lie in
// testdata, with every Python that this machine has.
package entries_test

import (
	"os/exec"
	"strings"
	"testing"
)

// required must be there; the others are tried where they are.
const required = "3.11"

var versions = []string{"3.9", "3.10", required, "3.12", "3.13", "3.14"}

func TestEntries(t *testing.T) {
	for _, version := range versions {
		python := "python" + version
		if exec.Command(python, "-c", "import ctypes").Run() != nil {
			if version == required {
				t.Errorf("found no %s on the PATH", python)
			}
			continue
		}
		t.Run(python, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(python, "-B", "-W", "error", "-m", "unittest", "discover", "-s", "testdata")
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "\nOK") {
				t.Errorf("%s: %v\n%s", cmd, err, out)
			}
		})
	}
}
