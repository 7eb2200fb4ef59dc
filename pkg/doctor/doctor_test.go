package doctor_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/doctor"
	"gitlab.com/towline/towline/pkg/fault"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Answers that many tests give.
var (
	denied  = doctor.Answered(fault.Newf(fault.Denied, "do it: AccessDenied").Hintf("allow it"))
	missing = doctor.Answered(fault.Newf(fault.Missing, "find it: not there").Hintf("make it"))
	remote  = doctor.Answered(fault.Newf(fault.Remote, "ask it: connection refused").Hintf("try again"))
	late    = doctor.Answered(fault.Newf(fault.Timeout, "no answer within 10s"))
	unasked = doctor.NotAsked("--offline")
)

// want is a check that is asked for: in a group, of a name.
type want struct {
	doctor.Check
	paste string
}

// one examines the facts, and finds the check that is meant.
func one(t *testing.T, f doctor.Facts, group, name string) doctor.Check {
	t.Helper()
	f.Now = noon
	for _, check := range doctor.Examine(f) {
		if check.Group == group && check.Name == name {
			return check
		}
	}
	t.Fatalf("there is no check %s %s", group, name)
	return doctor.Check{}
}

// same compares a check with the one that is wanted.
func same(t *testing.T, f doctor.Facts, group string, w want) {
	t.Helper()
	got := one(t, f, group, w.Name)
	if string(got.Paste) != w.paste {
		t.Errorf("paste is\n%s, want\n%s", got.Paste, w.paste)
	}
	w.Group, got.Paste = group, nil
	if diff := cmp.Diff(w.Check, got); diff != "" {
		t.Errorf("check (-want +got):\n%s", diff)
	}
}

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want doctor.Answer
	}{
		{"nothing wrong", nil, doctor.Answer{}},
		{"a fault", fault.Newf(fault.Missing, "a").Hintf("b"), doctor.Answer{Kind: fault.Missing, Said: "a", Hint: "b"}},
		{"an error that nobody classified", errors.New("a"), doctor.Answer{Kind: fault.Bug, Said: "a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := doctor.Answered(tt.err)
			if diff := cmp.Diff(tt.want, got); diff != "" || got.Good() != (tt.err == nil) {
				t.Errorf("Answered (-want +got):\n%s", diff)
			}
		})
	}
	if doctor.NotAsked("x").Good() {
		t.Error("a question that was not put is answered well")
	}
}

// The exit code is the first present of 4, 5, 3, 6 and 10.
func TestExitCodes(t *testing.T) {
	failed := func(kinds ...fault.Kind) []doctor.Check {
		all := []doctor.Check{{Group: "machine", Name: "a", State: doctor.Warning, Code: 0}, {State: doctor.NotChecked}}
		for _, kind := range kinds {
			all = append(all, doctor.Check{Group: "g", Name: "n", State: doctor.Failed, Code: kind})
		}
		return all
	}
	for _, tt := range []struct {
		name  string
		kinds []fault.Kind
		want  fault.Kind
	}{
		{"denied before all", []fault.Kind{fault.Timeout, fault.Missing, fault.Denied}, fault.Denied},
		{"missing before the repository", []fault.Kind{fault.Repository, fault.Missing}, fault.Missing},
		{"the repository before a service", []fault.Kind{fault.Remote, fault.Repository}, fault.Repository},
		{"a service before time", []fault.Kind{fault.Timeout, fault.Remote}, fault.Remote},
		{"time", []fault.Kind{fault.Timeout}, fault.Timeout},
		{"what nobody classified", []fault.Kind{fault.Bug}, fault.Remote},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fault.KindOf(doctor.Err(failed(tt.kinds...))); got != tt.want {
				t.Errorf("kind %d, want %d", got, tt.want)
			}
		})
	}
	if err := doctor.Err(failed()); err != nil {
		t.Errorf("Err of nothing that failed = %v", err)
	}
	err := doctor.Err(failed(fault.Missing, fault.Denied))
	if err.Error() != "doctor: 2 of 4 checks failed: g n, g n" || fault.HintOf(err) == "" {
		t.Errorf("Err = %v (%s)", err, fault.HintOf(err))
	}
}

func TestGroups(t *testing.T) {
	f := doctor.Facts{Now: noon, Only: []string{doctor.GroupS3, doctor.GroupGitLab}, GitLab: doctor.GitLab{Skip: "no job"}}
	var groups []string
	for _, check := range doctor.Examine(f) {
		groups = append(groups, check.Group)
	}
	if diff := cmp.Diff([]string{"gitlab", "s3", "s3", "s3", "s3"}, groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	same(t, f, doctor.GroupGitLab, want{Check: doctor.Check{Name: "all", State: doctor.NotChecked, Found: "no job"}})
	all := map[string]bool{}
	for _, check := range doctor.Examine(doctor.Facts{}) {
		all[check.Group] = true
	}
	for _, group := range doctor.Groups() {
		if !all[group] {
			t.Errorf("group %s has no check", group)
		}
	}
}
