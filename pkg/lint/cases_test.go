package lint_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/lint"
)

// ruleCase is a repository, and where a rule finds something in it.
type ruleCase struct {
	name    string
	rule    string
	files   map[string]string
	profile lint.Profile
	want    []string // path:line, or path
}

func run(t *testing.T, cases []ruleCase) {
	t.Helper()
	rules := map[string]lint.Rule{}
	for _, rule := range lint.Catalogue() {
		rules[rule.ID] = rule
	}
	for _, tt := range cases {
		t.Run(tt.rule+" "+tt.name, func(t *testing.T) {
			rule, ok := rules[tt.rule]
			if !ok {
				t.Fatalf("there is no rule %s", tt.rule)
			}
			got := places(t, rule, lint.Example{Files: tt.files, Profile: tt.profile})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.rule, diff)
			}
		})
	}
}
