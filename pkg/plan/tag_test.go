package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

func passedRecord(model string, image bool) record.Record {
	rec := record.Record{Project: "shop", Model: model, Identity: strings.Repeat("a", 64)}
	rec.Version = record.Version{Version: "1.3.0", Candidate: "1.3.0-cand.57"}
	rec.Source.Commit = strings.Repeat("c", 40)
	if image {
		rec.Image = &record.Image{Repository: "registry.example.com/shop/" + model, Digest: "sha256:" + strings.Repeat("d", 64)}
	}
	return rec
}

func TestTagging(t *testing.T) {
	for _, tt := range []struct {
		name    string
		records []record.Record
		bucket  string
		want    string
	}{
		{"one model", []record.Record{passedRecord("a", true)}, "bucket", "tag promote:a record:tagged:a"},
		{"an image that was not pushed", []record.Record{passedRecord("a", false)}, "bucket", "tag record:tagged:a"},
		{"no place for records", []record.Record{passedRecord("a", true)}, "", "tag promote:a"},
		{"two released together", []record.Record{passedRecord("a", true), passedRecord("b", true)}, "bucket",
			"tag promote:a promote:b record:tagged:a record:tagged:b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var ids []string
			for _, action := range plan.Tagging(plan.ThroughGit, tt.bucket, tt.records) {
				ids = append(ids, action.ID())
			}
			if got := strings.Join(ids, " "); got != tt.want {
				t.Errorf("Tagging = %s, want %s", got, tt.want)
			}
		})
	}
}

// The image gets the version that was won, which need not be the expected one.
func TestAPromotionIsFilledByTheTag(t *testing.T) {
	p := plan.Tagging(plan.ThroughGit, "", []record.Record{passedRecord("a", true)})
	filled, err := p[1].Fill(plan.Yields{"tag": {plan.VersionOf("a"): "1.3.1", plan.MovingOf("a"): "1.3,1"}})
	if err != nil {
		t.Fatal(err)
	}
	promote, _ := filled.(plan.Promote)
	if got := promote.Version.String(); got != "1.3.1" {
		t.Errorf("version = %q, want 1.3.1", got)
	}
	if diff := cmp.Diff([]string{"1.3", "1"}, promote.MovingTags()); diff != "" {
		t.Errorf("moving tags (-want +got):\n%s", diff)
	}
	filled, err = p[1].Fill(plan.Yields{"tag": {plan.VersionOf("a"): "", plan.MovingOf("a"): ""}})
	if promote, _ = filled.(plan.Promote); err != nil || promote.Version.String() != "" || promote.MovingTags() != nil {
		t.Errorf("Fill of nothing to release = %+v, %v", promote, err)
	}
}
