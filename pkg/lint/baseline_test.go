package lint_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/lint"
)

func TestABaselineThatIsNoneIsAnError(t *testing.T) {
	entry := `{"fingerprint": "ab", "tool": "towline", "rule": "TL302", "path": "a.py", "message": "m"}`
	for _, tt := range []struct{ name, text, want string }{
		{"it is empty", " \n", "the file is empty"},
		{"it is cut off", `{"version": 1, "findings": [`, "unexpected end of JSON input"},
		{"it is another thing", `[]`, "found a JSON array, wanted an object"},
		{"it is null", `null`, "found no version, wanted 1"},
		{"it has no version", `{"findings": []}`, "found no version, wanted 1"},
		{"it is of a later version, with other fields", `{"version": 2, "entries": [{"id": 1}]}`, "found version 2, wanted 1"},
		{"its version is a text", `{"version": "1"}`, "version is a JSON string"},
		{"it has unknown fields", `{"version": 1, "findings": [], "more": 1}`, `unknown field "more"`},
		{"an entry has no fingerprint", `{"version": 1, "findings": [` + entry + `, {"tool": "towline"}]}`, "entry 2 has no fingerprint or no tool"},
		{"an entry has no tool", `{"version": 1, "findings": [{"fingerprint": "ab"}]}`, "entry 1 has no fingerprint or no tool"},
		{"more follows", `{"version": 1, "findings": []}x`, "invalid character 'x'"},
		{"it is nested deeply", strings.Repeat("[", 200_000), "exceeded max depth"},
		{"a merge left its marks", "<<<<<<< HEAD\n{}\n", "invalid character '<'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := lint.ParseBaseline([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "Go ") {
				t.Fatalf("ParseBaseline = %v, want %q, and no words of Go", err, tt.want)
			}
			if fault.KindOf(err) != fault.Repository || fault.HintOf(err) == "" {
				t.Errorf("ParseBaseline = %v of kind %v with the hint %q", err, fault.KindOf(err), fault.HintOf(err))
			}
		})
	}
	if b, err := lint.ParseBaseline([]byte("\xef\xbb\xbf{\"version\": 1,\r\n\"findings\": [" + entry + "]}\r\n")); err != nil || len(b.Findings) != 1 {
		t.Errorf("ParseBaseline with a byte order mark and line ends of Windows = %v, %v", b, err)
	}
}

// What stands in a baseline is found again wherever its line went, as often as it stands there.
func TestABaselineFollowsLines(t *testing.T) {
	before := runOn(t, lint.Options{FS: repository(map[string]string{"a.py": "x = MARK\ny = MARK\ny = MARK\n"})})
	b := lint.NewBaseline(before.Findings)
	b.Findings = append(b.Findings, b.Findings...) // a merge that took both sides
	gone := lint.Known{Fingerprint: strings.Repeat("0", 32), Tool: lint.Own, Rule: "TL999", Path: "../gone\x1b[31m.py", Message: "a\nmark"}
	b.Findings = append(b.Findings, gone, gone)
	for _, tt := range []struct {
		name, text string
		known      int
		want       []string
	}{
		{"nothing has changed", "x = MARK\ny = MARK\ny = MARK\n", 3, nil},
		{"lines have moved", "\n\nx  =  MARK\n\ny = MARK\ny = MARK\n", 3, nil},
		{"there is one more", "y = MARK\ny = MARK\nx = MARK\ny = MARK\n", 3, []string{"a.py:4:5 TL999 major"}},
		{"one was mended", "x = MARK\ny = MARK\n", 2, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			result := runOn(t, lint.Options{FS: repository(map[string]string{"a.py": tt.text}), Baseline: &b})
			stale := slices.DeleteFunc(slices.Clone(result.Findings), func(f lint.Finding) bool { return f.Rule != "TL909" })
			result.Findings = slices.DeleteFunc(result.Findings, func(f lint.Finding) bool { return f.Rule == "TL909" })
			if got := list(result); result.Known != tt.known || !slices.Equal(got, tt.want) {
				t.Errorf("known %d, told %q, want %d and %q", result.Known, got, tt.known, tt.want)
			}
			if want := 1 + 3 - tt.known; len(stale) != want {
				t.Errorf("%d entries are stale, want %d: %v", len(stale), want, stale)
			}
			for _, f := range stale {
				if strings.ContainsAny(f.Message, "\x1b\n") {
					t.Errorf("message %q is not fit for a terminal", f.Message)
				}
			}
		})
	}
}

func FuzzParseBaseline(f *testing.F) {
	f.Add([]byte(`{"version": 1, "findings": [{"fingerprint": "ab", "tool": "towline", "rule": "TL302", "path": "a.py", "message": "m"}]}`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`{"version": 1e2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := lint.ParseBaseline(text)
		if err != nil {
			return
		}
		again, err := b.Encode()
		if err != nil || !json.Valid(again) {
			t.Fatalf("Encode = %q, %v", again, err)
		}
		if _, err := lint.ParseBaseline(again); err != nil {
			t.Errorf("ParseBaseline of what Encode wrote: %v", err)
		}
	})
}
