package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/fault"
)

func TestTheExitCodesAreAContract(t *testing.T) {
	want := map[fault.Kind]int{
		fault.Bug: 1, fault.Usage: 2, fault.Repository: 3, fault.Denied: 4, fault.Missing: 5,
		fault.Remote: 6, fault.Refused: 7, fault.Conflict: 8, fault.Model: 9, fault.Timeout: 10,
	}
	kinds := fault.Kinds()
	if len(kinds) != len(want) {
		t.Errorf("Kinds() = %v, want %d of them", kinds, len(want))
	}
	for i, kind := range kinds {
		if int(kind) != want[kind] || int(kind) != i+1 {
			t.Errorf("Kinds()[%d] = %d, want %d", i, kind, want[kind])
		}
		if meaning := kind.Meaning(); meaning == "" || meaning == "unknown" {
			t.Errorf("Meaning of %d = %q", kind, meaning)
		}
	}
	if got := fault.Kind(99).Meaning(); got != "unknown" {
		t.Errorf("Meaning of 99 = %q", got)
	}
}

func TestWhatAnErrorSays(t *testing.T) {
	inner := fault.Newf(fault.Denied, "read role: %w", io.ErrUnexpectedEOF).Hintf("allow %s", "sts:AssumeRole").With("a", "b")
	for _, tt := range []struct {
		name    string
		err     error
		text    string
		kind    fault.Kind
		hint    string
		details []string
	}{
		{"a fault", inner, "read role: unexpected EOF", fault.Denied, "allow sts:AssumeRole", []string{"a", "b"}},
		{"a fault in a plain error", fmt.Errorf("deploy: %w", inner), "deploy: read role: unexpected EOF", fault.Denied, "allow sts:AssumeRole", []string{"a", "b"}},
		{"the outer kind and the inner hint", fault.Newf(fault.Remote, "deploy: %w", inner), "deploy: read role: unexpected EOF", fault.Remote, "allow sts:AssumeRole", []string{"a", "b"}},
		{"the outer hint first", fault.Newf(fault.Remote, "deploy: %w", inner).Hintf("wait"), "deploy: read role: unexpected EOF", fault.Remote, "wait", []string{"a", "b"}},
		{"an error that nobody classified", io.EOF, "EOF", fault.Bug, "", nil},
		{"a fault without more", fault.Newf(fault.Usage, "no such flag"), "no such flag", fault.Usage, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.err.Error(); got != tt.text {
				t.Errorf("Error() = %q, want %q", got, tt.text)
			}
			if got := fault.KindOf(tt.err); got != tt.kind {
				t.Errorf("KindOf = %v, want %v", got, tt.kind)
			}
			if got := fault.HintOf(tt.err); got != tt.hint {
				t.Errorf("HintOf = %q, want %q", got, tt.hint)
			}
			if diff := cmp.Diff(tt.details, fault.DetailsOf(tt.err)); diff != "" {
				t.Errorf("DetailsOf (-want +got):\n%s", diff)
			}
		})
	}
	if !errors.Is(inner, io.ErrUnexpectedEOF) {
		t.Error("the cause of a fault is lost")
	}
	if fault.HintOf(nil) != "" || fault.DetailsOf(nil) != nil {
		t.Error("no error has a hint or details")
	}
}
