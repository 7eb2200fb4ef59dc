package bundle_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/bundle"
)

// layoutSums says what the images of a layout version hold of ours.
const layoutSums = "testdata/layout.sum"

// Identities and the keys of dependency layers name LayoutVersion, so whoever
// changes what an image holds of ours, or how dependencies are compiled, must
// raise it: else an image that was made before passes for the new one.
//
// After raising it: TOWLINE_UPDATE=1 go test ./pkg/bundle -run TestTheLayoutVersion
func TestTheLayoutVersionNamesWhatIsInAnImage(t *testing.T) {
	a := action(t, repository(t))
	pack(t, options(t), a)
	got := map[string]string{}
	for name, file := range unpack(t, a.Layout) {
		if strings.HasPrefix(name, "opt/towline/") && !strings.HasSuffix(name, "/") {
			got[name] = fmt.Sprintf("%x %o", sha256.Sum256([]byte(file.content)), file.header.Mode)
		}
	}
	_, _, config := readManifest(t, a.Layout)
	got["configuration"] = fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%q %q %q", config.Config.Env, config.Config.WorkingDir, config.Config.Cmd)))
	compiler, err := os.ReadFile("compile.py")
	if err != nil {
		t.Fatal(err)
	}
	got["compile.py"] = fmt.Sprintf("%x", sha256.Sum256(compiler))

	version, want := readLayoutSums(t)
	if version != bundle.LayoutVersion && os.Getenv("TOWLINE_UPDATE") != "" {
		writeLayoutSums(t, got)
		return
	}
	diff := cmp.Diff(want, got)
	switch {
	case version == bundle.LayoutVersion && diff != "":
		t.Errorf("an image of layout version %s holds other things than before: raise bundle.LayoutVersion (-before +now):\n%s", version, diff)
	case version != bundle.LayoutVersion:
		t.Errorf("%s is of layout version %s, want %s: write it anew with TOWLINE_UPDATE=1", layoutSums, version, bundle.LayoutVersion)
	}
}

func readLayoutSums(t *testing.T) (version string, sums map[string]string) {
	t.Helper()
	file, err := os.Open(layoutSums)
	if err != nil {
		return "", nil
	}
	defer func() { _ = file.Close() }()
	sums = map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, sum, _ := strings.Cut(lines.Text(), " ")
		if name == "version" {
			version = sum
		} else {
			sums[name] = sum
		}
	}
	return version, sums
}

func writeLayoutSums(t *testing.T, sums map[string]string) {
	t.Helper()
	text := "version " + bundle.LayoutVersion + "\n"
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		text += name + " " + sums[name] + "\n"
	}
	write(t, filepath.Dir(layoutSums), map[string]string{filepath.Base(layoutSums): text})
}
