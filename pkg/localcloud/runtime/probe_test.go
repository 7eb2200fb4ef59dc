package runtime_test

import (
	"os"
	"path/filepath"
	"testing"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

func TestFindingPython(t *testing.T) {
	found, err := runtime.FindPython(t.Context(), os.Environ(), "3.11")
	if err != nil || !filepath.IsAbs(found) {
		t.Errorf("FindPython(3.11) = %q, %v", found, err)
	}
	for name, environ := range map[string][]string{
		"a version that is not there": os.Environ(), "an empty PATH": {"PATH=/nowhere"},
	} {
		if found, err := runtime.FindPython(t.Context(), environ, "2.7"); fault.KindOf(err) != fault.Missing {
			t.Errorf("%s: FindPython(2.7) = %q, %v", name, found, err)
		}
	}
}

func TestTryingTheSandbox(t *testing.T) {
	err := runtime.TrySandbox(t.Context(), []string{"PATH=/nowhere"})
	if fault.KindOf(err) != fault.Missing || err.Error() != "use a sandbox: no bwrap on the PATH" {
		t.Errorf("TrySandbox = %v", err)
	}
}
