package plan_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/plan"
)

// log is a doer and a watcher that remembers.
type log struct {
	done   []string
	images []string
	fail   string // ID of the action that breaks
}

func (l *log) Do(_ context.Context, action plan.Action) (plan.Receipt, error) {
	if action.ID() == l.fail {
		return plan.Receipt{Said: "half done"}, errors.New("broken")
	}
	switch a := action.(type) {
	case plan.Package:
		return plan.Receipt{Yields: map[string]string{"digest": "sha256:1"}}, nil
	case plan.Push:
		return plan.Receipt{Yields: map[string]string{"image": a.Repository + "@" + a.Digest.String()}}, nil
	case plan.Train:
		l.images = append(l.images, a.Image.String())
	case plan.Keep:
		return plan.Receipt{Yields: a.Yielded}, nil
	}
	return plan.Receipt{}, nil
}

func (l *log) Started(plan.Action) {}

func (l *log) Done(action plan.Action, _ plan.Receipt, err error) {
	if err != nil {
		l.done = append(l.done, action.ID()+"!")
		return
	}
	l.done = append(l.done, action.ID())
}

func steps() plan.Plan {
	return plan.Plan{
		plan.Package{Base: "scratch"},
		plan.Push{Repository: "registry/p/m", Digest: plan.After("package", "digest")},
		plan.Train{Job: "p-m-1", Image: plan.After("push", "image")},
	}
}

func TestRunFillsWhatEarlierActionsYield(t *testing.T) {
	l := &log{}
	if err := plan.Run(t.Context(), steps(), l, l); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"registry/p/m@sha256:1"}, l.images); diff != "" {
		t.Errorf("Run trained with other images (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"package", "push", "train"}, l.done); diff != "" {
		t.Errorf("Run did other actions (-want +got):\n%s", diff)
	}
}

func TestRunEndsWithTheFirstError(t *testing.T) {
	l := &log{fail: "push"}
	err := plan.Run(t.Context(), steps(), l, l)
	if err == nil || err.Error() != "broken" {
		t.Errorf("Run = %v, want broken", err)
	}
	if diff := cmp.Diff([]string{"package", "push!"}, l.done); diff != "" {
		t.Errorf("Run did other actions (-want +got):\n%s", diff)
	}
}

func TestRunStopsWhenItIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := &log{}
	if err := plan.Run(ctx, steps(), l, l); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want %v", err, context.Canceled)
	}
	if len(l.done) > 0 {
		t.Errorf("Run did %v after it was cancelled", l.done)
	}
}

func TestRunRefusesAReferenceThatNobodyYields(t *testing.T) {
	l := &log{}
	err := plan.Run(t.Context(), plan.Plan{plan.Train{Image: plan.After("push", "image")}}, l, l)
	if err == nil || !strings.Contains(err.Error(), "push.image is used before it is known") {
		t.Errorf("Run = %v, want an error that names push.image", err)
	}
}

func TestValue(t *testing.T) {
	open := plan.Join(plan.Text("host/p/m@"), plan.After("package", "digest"))
	for _, tt := range []struct {
		name  string
		value plan.Value
		known bool
		want  string
	}{
		{"nothing", plan.Value{}, true, ""},
		{"a text", plan.Text("a"), true, "a"},
		{"an empty text", plan.Text(""), true, ""},
		{"a reference", plan.After("train", "model_data"), false, "(known after train)"},
		{"a text with a reference in it", open, false, "host/p/m@(known after package)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.value.String(); got != tt.want || tt.value.Known() != tt.known {
				t.Errorf("Value = %q, known %t, want %q, %t", got, tt.value.Known(), tt.want, tt.known)
			}
			text, err := json.Marshal(tt.value)
			if err != nil || string(text) != `"`+tt.want+`"` {
				t.Errorf("Marshal = %s, %v, want %q", text, err, tt.want)
			}
		})
	}
}
