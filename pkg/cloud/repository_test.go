package cloud_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

const ecrRepository = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/url-risk"

func TestARepositoryIsCreated(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings plan.NewRepository
		want     object
		policy   string
	}{
		{"as it comes", plan.NewRepository{}, object{
			"repositoryName": "shop/url-risk", "imageTagMutability": "MUTABLE",
		}, ""},
		{"scanned, and with tags that stay", plan.NewRepository{Immutable: true, Scan: true, Tags: map[string]string{"team": "x"}}, object{
			"repositoryName": "shop/url-risk", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
			"imageTagMutabilityExclusionFilters": []any{object{"filter": "towline-cache", "filterType": "WILDCARD"}},
			"imageScanningConfiguration":         object{"scanOnPush": true},
			"tags":                               []any{object{"Key": "team", "Value": "x"}},
		}, ""},
		{"encrypted, and with so many images", plan.NewRepository{KMSKey: "alias/k", Keep: 50}, object{
			"repositoryName": "shop/url-risk", "imageTagMutability": "MUTABLE",
			"encryptionConfiguration": object{"encryptionType": "KMS", "kmsKey": "alias/k"},
		}, `{"rules":[{"action":{"type":"expire"},"description":"keep the newest images","rulePriority":1,` +
			`"selection":{"countNumber":50,"countType":"imageCountMoreThan","tagStatus":"any"}}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newAmazon(t)
			if err := connect(t, f.URL).CreateRepository(t.Context(), ecrRepository, tt.settings); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, f.repositories["CreateRepository"]); diff != "" {
				t.Errorf("CreateRepository (-want +got):\n%s", diff)
			}
			policy, _ := f.repositories["PutLifecyclePolicy"]["lifecyclePolicyText"].(string)
			if policy != tt.policy {
				t.Errorf("policy is %s, want %s", policy, tt.policy)
			}
		})
	}
}

func TestARepositoryThatCannotBeCreated(t *testing.T) {
	f := newAmazon(t)
	c := connect(t, f.URL)
	f.refusals["CreateRepository"] = []refusal{{400, "RepositoryAlreadyExistsException", "it is there"}, {400, "AccessDeniedException", "no"}}
	if err := c.CreateRepository(t.Context(), ecrRepository, plan.NewRepository{Keep: 50}); err != nil {
		t.Errorf("CreateRepository() = %v for one that another job has made", err)
	}
	err := c.CreateRepository(t.Context(), ecrRepository, plan.NewRepository{})
	if fault.KindOf(err) != fault.Denied {
		t.Errorf("CreateRepository() without the right = %v", err)
	}
	err = c.CreateRepository(t.Context(), "registry.example.com/shop/url-risk", plan.NewRepository{})
	if fault.KindOf(err) != fault.Missing {
		t.Errorf("CreateRepository() in another registry = %v", err)
	}
}
