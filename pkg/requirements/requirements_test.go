package requirements_test

import (
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/requirements"
)

func TestLinesOfARequirementsFile(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []requirements.Line
	}{
		{"nothing", "", nil},
		{"comments and blank lines", "# one\n\n  # two\n", nil},
		{"a requirement with a comment", "numpy==2.0 # fast\n", []requirements.Line{{Number: 1, Value: "numpy==2.0"}}},
		{"a fragment is no comment", "git+https://x.example/a#egg=a\n", []requirements.Line{{Number: 1, Value: "git+https://x.example/a#egg=a"}}},
		{
			"hashes on continued lines", "a==1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\nb==2\n",
			[]requirements.Line{{Number: 1, Value: "a==1", Own: "--hash=sha256:00     --hash=sha256:11"}, {Number: 4, Value: "b==2"}},
		},
		{"a comment ends what is continued", "a==1 \\\n# why\nb==2\n", []requirements.Line{{Number: 1, Value: "a==1"}, {Number: 3, Value: "b==2"}}},
		{"the last line goes on for ever", "a==1 \\", []requirements.Line{{Number: 1, Value: "a==1"}}},
		{
			"options in their forms", "-r base.txt\n-rmore.txt\n--index-url=https://x.example/simple\n--no-index\n",
			[]requirements.Line{
				{Number: 1, Option: "-r", Value: "base.txt"},
				{Number: 2, Option: "-r", Value: "more.txt"},
				{Number: 3, Option: "--index-url", Value: "https://x.example/simple"},
				{Number: 4, Option: "--no-index"},
			},
		},
		{"Windows line ends", "a\r\nb\r\n", []requirements.Line{{Number: 1, Value: "a"}, {Number: 2, Value: "b"}}},
		{"a byte order mark", "\ufeffa==1\n", []requirements.Line{{Number: 1, Value: "a==1"}}},
		{"UTF-16, as PowerShell writes it", utf16LE("a==1\r\nb==2\r\n"), []requirements.Line{{Number: 1, Value: "a==1"}, {Number: 2, Value: "b==2"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, requirements.Lines([]byte(tt.text))); diff != "" {
				t.Errorf("Lines(%q) (-want +got):\n%s", tt.text, diff)
			}
		})
	}
}

func utf16LE(text string) string {
	b := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	return string(b)
}

func TestParseARequirement(t *testing.T) {
	for _, tt := range []struct {
		text string
		want requirements.Requirement
	}{
		{"Foo_Bar.baz", requirements.Requirement{Name: "foo-bar-baz"}},
		{"a[x, y]>=1,<2 ; python_version < '3.11'", requirements.Requirement{
			Name: "a", Extras: []string{"x", "y"}, Marker: "python_version < '3.11'",
			Specifiers: []requirements.Specifier{{Operator: ">=", Version: "1"}, {Operator: "<", Version: "2"}},
		}},
		{"a (==1.0)", requirements.Requirement{Name: "a", Specifiers: []requirements.Specifier{{Operator: "==", Version: "1.0"}}}},
		{"a @ git+https://x.example/a@main ; os_name=='nt'", requirements.Requirement{Name: "a", URL: "git+https://x.example/a@main", Marker: "os_name=='nt'"}},
		{"git+ssh://git@x.example/a.git@v1#egg=A_b&subdirectory=c", requirements.Requirement{Name: "a-b", URL: "git+ssh://git@x.example/a.git@v1#egg=A_b&subdirectory=c"}},
		{"./wheels/a-1.0-py3-none-any.whl", requirements.Requirement{URL: "./wheels/a-1.0-py3-none-any.whl"}},
		{"wheels/a.whl", requirements.Requirement{URL: "wheels/a.whl"}},
		{"torch==2.1.0+cu118", requirements.Requirement{Name: "torch", Specifiers: []requirements.Specifier{{Operator: "==", Version: "2.1.0+cu118"}}}},
	} {
		t.Run(tt.text, func(t *testing.T) {
			got, err := requirements.Parse(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tt.text, diff)
			}
		})
	}
}

func TestWhatIsNoRequirement(t *testing.T) {
	for _, text := range []string{"", "==1.0", "numpy=1.19.2=py38h456fd55_0", "a[b", "a ==", "two words", "a>1 <2"} {
		if got, err := requirements.Parse(text); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", text, got)
		}
	}
}

func TestSpecifiersAdmitVersions(t *testing.T) {
	for _, tt := range []struct {
		conditions, version string
		want                bool
	}{
		{">=3.9", "3.11", true},
		{">=3.9,<3.11", "3.11", false},
		{"==3.*", "3.11", true},
		{"==3.10.*", "3.11", false},
		{"!=3.11.*", "3.11", false},
		{"~=1.4.2", "1.4.9", true},
		{"~=1.4.2", "1.5", false},
		{"~=1.4", "1.9", true},
		{"==1.0", "1.0.0", true},
		{">1", "1.0.1", true},
		{"<=1", "1.0", true},
		{"===1.0", "1.0.0", false},
		{">=2", "2rc1", true}, // not known
	} {
		conditions, err := requirements.ParseSpecifiers(tt.conditions)
		if err != nil {
			t.Fatal(err)
		}
		if got := requirements.Admit(conditions, tt.version); got != tt.want {
			t.Errorf("Admit(%s, %s) = %v, want %v", tt.conditions, tt.version, got, tt.want)
		}
	}
}

func FuzzRequirements(f *testing.F) {
	f.Add([]byte("a==1 \\\n --hash=sha256:0 # c\n-r b\n"))
	f.Add([]byte("\xff\xfea\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		last := 0
		for _, line := range requirements.Lines(data) {
			if line.Number <= last {
				t.Fatalf("line %d after line %d", line.Number, last)
			}
			last = line.Number
			if r, err := requirements.Parse(line.Value); err == nil && r.Name == "" && r.URL == "" {
				t.Errorf("Parse(%q) is nothing", line.Value)
			}
		}
	})
}
