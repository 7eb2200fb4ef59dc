package evidence_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/evidence"
)

func TestMetadataOf(t *testing.T) {
	for name, want := range map[string]string{
		"opt/towline/lib/numpy-2.0.dist-info/METADATA":  "opt/towline/lib/numpy-2.0.dist-info METADATA",
		"./opt/towline/lib/numpy-2.0.dist-info/RECORD":  "opt/towline/lib/numpy-2.0.dist-info RECORD",
		"opt/towline/lib/numpy-2.0.dist-info/WHEEL":     " ",
		"opt/towline/lib/numpy/METADATA":                " ",
		"opt/towline/lib/x.dist-info/licenses/METADATA": " ",
		"METADATA": " ",
	} {
		folder, file := evidence.MetadataOf(name)
		if got := folder + " " + file; got != want {
			t.Errorf("MetadataOf(%s) = %q, want %q", name, got, want)
		}
	}
}

func TestParseMetadata(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       evidence.Distribution
		ok         bool
	}{
		{"an expression", "Metadata-Version: 2.4\nName: numpy\nVersion: 2.4.6\nLicense-Expression: BSD-3-Clause AND MIT\n\nLicense: no header\n",
			evidence.Distribution{Name: "numpy", Version: "2.4.6", Licences: []string{"BSD-3-Clause AND MIT"}, SPDX: true}, true},
		{"a classifier that names one licence", "Name: a\nVersion: 1\nClassifier: License :: OSI Approved :: MIT License\nClassifier: Topic :: x\n",
			evidence.Distribution{Name: "a", Version: "1", Licences: []string{"MIT"}, SPDX: true}, true},
		{"a classifier that leaves the version open", "Name: a\nVersion: 1\nClassifier: License :: OSI Approved\nClassifier: License :: OSI Approved :: BSD License\n",
			evidence.Distribution{Name: "a", Version: "1", Licences: []string{"BSD License"}}, true},
		{"two classifiers", "Name: a\nVersion: 1\nClassifier: License :: OSI Approved :: MIT License\nClassifier: License :: OSI Approved :: BSD License\n",
			evidence.Distribution{Name: "a", Version: "1", Licences: []string{"BSD License", "MIT License"}}, true},
		{"free text that is a name", "Name: a\r\nVersion: 1\r\nLicense: BSD 3-Clause\r\n\r\n",
			evidence.Distribution{Name: "a", Version: "1", Licences: []string{"BSD-3-Clause"}, SPDX: true}, true},
		{"free text that is none", "Name: a\nVersion: 1\nLicense: Our own terms\n",
			evidence.Distribution{Name: "a", Version: "1", Licences: []string{"Our own terms"}}, true},
		{"the text of a licence", "Name: a\nVersion: 1\nLicense: " + strings.Repeat("whereas ", 30) + "\n        and so on\n",
			evidence.Distribution{Name: "a", Version: "1"}, true},
		{"an expression that is none", "Name: a\nVersion: 1\nLicense-Expression: <b>MIT</b>\n",
			evidence.Distribution{Name: "a", Version: "1"}, true},
		{"requirements", "Name: a\nVersion: 1\nRequires-Dist: NumPy (>=1.2)\nRequires-Dist: tz_data>=2 ; python_version < '3.9'\nRequires-Dist: pytest ; extra == 'test'\nRequires-Dist: numpy[x]\n",
			evidence.Distribution{Name: "a", Version: "1", Requires: []string{"numpy", "tz-data"}}, true},
		{"no version", "Name: a\n", evidence.Distribution{Name: "a"}, false},
		{"nothing", "", evidence.Distribution{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := evidence.ParseMetadata([]byte(tt.text))
			if diff := cmp.Diff(tt.want, got); diff != "" || ok != tt.ok {
				t.Errorf("ParseMetadata = %t, want %t (-want +got):\n%s", ok, tt.ok, diff)
			}
		})
	}
}

func TestPURL(t *testing.T) {
	for _, tt := range []struct{ name, version, want string }{
		{"numpy", "2.4.6", "pkg:pypi/numpy@2.4.6"},
		{"Typing_Extensions", "4", "pkg:pypi/typing-extensions@4"},
		{"zope.interface", "7.0", "pkg:pypi/zope.interface@7.0"},
		{"torch", "2.9.0+cpu", "pkg:pypi/torch@2.9.0%2Bcpu"},
		{"a b", "1!2", "pkg:pypi/a%20b@1%212"},
	} {
		if got := (evidence.Distribution{Name: tt.name, Version: tt.version}).PURL(); got != tt.want {
			t.Errorf("PURL(%s %s) = %s, want %s", tt.name, tt.version, got, tt.want)
		}
	}
}

func TestWheelHashes(t *testing.T) {
	one, two := strings.Repeat("a", 64), strings.Repeat("b", 64)
	got := evidence.WheelHashes("# pinned\nNum_Py[x]==1.0 \\\n    --hash=sha256:" + one + "\nscipy==2 --hash=sha256:" + one + " --hash=sha256:" + two +
		"\nodd==3 --hash=sha256:zz\nfree>=1 --hash=sha256:" + two + "\r\n")
	if diff := cmp.Diff(map[string]string{"num-py@1.0": one}, got); diff != "" {
		t.Errorf("WheelHashes (-want +got):\n%s", diff)
	}
	list := evidence.WithWheels([]evidence.Distribution{{Name: "num.py", Version: "1.0"}, {Name: "scipy", Version: "2"}}, got)
	if list[0].Wheel != one || list[1].Wheel != "" {
		t.Errorf("WithWheels = %v", list)
	}
}

func FuzzParseMetadata(f *testing.F) {
	f.Add([]byte("Name: a\nVersion: 1\nLicense: x\nRequires-Dist: b; extra == 'c'\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, ok := evidence.ParseMetadata(text)
		if !ok {
			return
		}
		if _, err := evidence.SBOM(evidence.Contents{Image: image, Name: "p/m", Distributions: []evidence.Distribution{d}}); err != nil {
			t.Error(err)
		}
	})
}
