package release_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/release"
)

func TestMessages(t *testing.T) {
	var vectors []struct {
		Message string
		Want    map[string]any
	}
	read(t, "messages", &vectors)
	for _, v := range vectors {
		got := said(t, release.ParseMessage(v.Message))
		for key, want := range v.Want {
			if diff := cmp.Diff(want, got[key]); diff != "" {
				t.Errorf("ParseMessage(%q): %s (-want +got):\n%s", v.Message, key, diff)
			}
		}
	}
}

// said is a message in the words of the vectors.
func said(t *testing.T, m release.Message) map[string]any {
	t.Helper()
	headers := []any{}
	for _, h := range m.Headers {
		headers = append(headers, map[string]any{"type": h.Type, "scope": h.Scope, "breaking": h.Breaking, "text": h.Text})
	}
	reverted := []any{}
	for _, hash := range m.Reverted {
		reverted = append(reverted, hash)
	}
	return map[string]any{
		"subject": m.Subject, "headers": headers, "breaking": m.Breaking, "release_as": m.ReleaseAs,
		"revert": m.Revert, "reverted": reverted, "ignored": m.Ignored,
	}
}

func TestAHugeMessageIsReadOnlyInPart(t *testing.T) {
	m := release.ParseMessage("feat: x\n\n" + strings.Repeat("a", 2<<20) + "\n\nBREAKING CHANGE: far away")
	if m.Breaking != "" || len(m.Headers) != 1 {
		t.Errorf("breaking %q, %d headers, want what stands in the first megabyte", m.Breaking, len(m.Headers))
	}
}

func TestTheTrailerOfATag(t *testing.T) {
	want := release.Trailer{Identity: "abc", Code: "def", Data: "sha256:1", Image: "sha256:2", Pipeline: "https://gitlab.example/p/1", Claim: "X"}
	message := release.TagMessage("m 1.0.0", "## 1.0.0\n\n- a\n", want)
	got, ok := release.ParseTrailer(message)
	if !ok || got != want {
		t.Errorf("ParseTrailer = %+v, %v, want %+v, from:\n%s", got, ok, want, message)
	}
	for _, message := range []string{"", "m 1.0.0", "Towline: {", "Towline: {}\n\nmore"} {
		if got, ok := release.ParseTrailer(message); ok {
			t.Errorf("ParseTrailer(%q) = %+v, want none", message, got)
		}
	}
}

func TestAResultAsJSON(t *testing.T) {
	c := release.Component{Name: "m", Prefix: "v"}
	result, err := release.Compute(c, release.History{}, release.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"component":"m","version":"0.1.0","next":"0.1.0","tag":"v0.1.0","bump":"initial","released":true,"reused":false,` +
		`"superseded":false,"exact":false,"reason":[{"text":"no tag vX.Y.Z in the history of this commit: the first version is 0.1.0"}]}`
	if string(text) != want {
		t.Errorf("JSON = %s\nwant   %s", text, want)
	}
}
