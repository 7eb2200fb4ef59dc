package doctor

import (
	"bytes"
	"encoding/json"
	"strings"
)

// statement is a statement of an IAM policy, its members in the order of
// IAM's own pages.
type statement struct {
	Effect    string            `json:"Effect"`
	Principal map[string]string `json:"Principal,omitempty"`
	Action    any               `json:"Action"`
	Resource  any               `json:"Resource,omitempty"`
	Condition map[string]any    `json:"Condition,omitempty"`
}

func (s statement) json() json.RawMessage {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // a branch may be called a&b
	if err := encoder.Encode(s); err != nil {
		return nil
	}
	return bytes.TrimSpace(text.Bytes())
}

// allow is the statement of a role's policy that allows actions on resources.
func allow(actions, resources []string) json.RawMessage {
	return statement{Effect: "Allow", Action: oneOrMore(actions), Resource: oneOrMore(resources)}.json()
}

func oneOrMore(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

// trustToken is the statement of a role's trust policy that lets the token
// assume it, and no other job.
// https://docs.gitlab.com/ci/cloud_services/aws/
func trustToken(role string, t Token) json.RawMessage {
	provider := t.provider()
	return statement{
		Effect:    "Allow",
		Principal: map[string]string{"Federated": "arn:" + partition(role) + ":iam::" + account(role) + ":oidc-provider/" + provider},
		Action:    "sts:AssumeRoleWithWebIdentity",
		Condition: map[string]any{"StringEquals": map[string]any{
			provider + ":aud": oneOrMore(t.Audience),
			provider + ":sub": t.Subject,
		}},
	}.json()
}

// trustRole is the statement of a role's trust policy that lets another role
// assume it.
func trustRole(by string, tagged bool) json.RawMessage {
	actions := []string{"sts:AssumeRole"}
	if tagged {
		actions = append(actions, "sts:TagSession")
	}
	return statement{Effect: "Allow", Principal: map[string]string{"AWS": by}, Action: oneOrMore(actions)}.json()
}

// passRole is the statement that lets SageMaker be given a role.
func passRole(role string) json.RawMessage {
	return statement{
		Effect: "Allow", Action: "iam:PassRole", Resource: role,
		Condition: map[string]any{"StringEquals": map[string]string{"iam:PassedToService": "sagemaker.amazonaws.com"}},
	}.json()
}

// partition and account are parts of an ARN: arn:PARTITION:iam::ACCOUNT:role/…
func partition(arn string) string { return part(arn, 1, "aws") }
func account(arn string) string   { return part(arn, 4, "") }

func part(arn string, i int, otherwise string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 && parts[i] != "" {
		return parts[i]
	}
	return otherwise
}
