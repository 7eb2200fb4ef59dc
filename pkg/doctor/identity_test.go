package doctor_test

import (
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/doctor"
	"gitlab.com/towline/towline/pkg/fault"
)

const (
	entryRole = "arn:aws:iam::111111111111:role/entry"
	roleARN   = "arn:aws:iam::222222222222:role/deploy"
	executing = "arn:aws:iam::222222222222:role/sagemaker"
)

// tokenFor is a token that lives for a while from before noon.
func tokenFor(life time.Duration) *doctor.Token {
	return &doctor.Token{
		Issuer: "https://gitlab.example.com", Audience: []string{"https://aws"}, Subject: "project_path:g/a&b:ref_type:branch:ref:main",
		Issued: noon.Add(-time.Minute), Expires: noon.Add(life - time.Minute),
	}
}

func TestIdentity(t *testing.T) {
	const (
		write  = `write in the job id_tokens: {AWS_ID_TOKEN: {aud: "https://gitlab.example.com"}} and a timeout`
		claims = "iss https://gitlab.example.com, aud https://aws, sub project_path:g/a&b:ref_type:branch:ref:main"
		trust  = `{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/gitlab.example.com"},` +
			`"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"gitlab.example.com:aud":"https://aws",` +
			`"gitlab.example.com:sub":"project_path:g/a&b:ref_type:branch:ref:main"}}}`
		pass = `{"Effect":"Allow","Action":"iam:PassRole","Resource":"` + executing + `","Condition":{"StringEquals":{"iam:PassedToService":"sagemaker.amazonaws.com"}}}`
	)
	hour := tokenFor(time.Hour)
	two := *hour
	two.Audience = []string{"a", "b"}
	chained := doctor.Identity{Token: hour, EntryRole: entryRole, Role: roleARN}
	refused := chained
	refused.Second = denied
	tagged := refused
	tagged.SessionTags = true
	untrusted := chained
	untrusted.First = denied
	china := doctor.Identity{Token: &two, Role: "arn:aws-cn:iam::333333333333:role/r", First: denied}
	for _, tt := range []struct {
		name     string
		identity doctor.Identity
		want     doctor.Check
		paste    string
	}{
		{"a token", doctor.Identity{Token: hour}, doctor.Check{Name: "id token", State: doctor.OK, Found: claims + ", lives 1h0m0s"}, ""},
		{"a token of a job without timeout", doctor.Identity{Token: tokenFor(5 * time.Minute)}, doctor.Check{Name: "id token", State: doctor.Warning,
			Found: claims + ", lives 5 minutes", Setting: "set timeout: on the job, to more than it runs: GitLab's token lives as long"}, ""},
		{"a token that ended", doctor.Identity{Token: tokenFor(time.Minute)}, doctor.Check{Name: "id token", State: doctor.Failed, Found: claims + ", ended at 2026-03-01T12:00:00Z",
			Setting: "set timeout: on the job, to more than it runs: GitLab's token lives as long, and without it 5 minutes", Code: fault.Denied}, ""},
		{"a token that is none", doctor.Identity{TokenRead: denied}, doctor.Check{Name: "id token", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied}, ""},
		{"no token in a job", doctor.Identity{InJob: true, Called: denied},
			doctor.Check{Name: "id token", State: doctor.Failed, Found: "no AWS_ID_TOKEN, and no other credentials", Setting: write, Code: fault.Denied}, ""},
		{"a runner with credentials of its own", doctor.Identity{InJob: true}, doctor.Check{Name: "id token", State: doctor.Warning,
			Found: "no AWS_ID_TOKEN, but credentials of the runner", Setting: write + ": other jobs on that runner have them too"}, ""},
		{"stored keys in a job", doctor.Identity{InJob: true, Keys: "AWS_ACCESS_KEY_ID"}, doctor.Check{Name: "id token", State: doctor.Warning,
			Found: "AWS_ACCESS_KEY_ID is used, and no AWS_ID_TOKEN", Setting: write + ", and remove the other: what is stored does not end by itself"}, ""},
		{"a laptop", doctor.Identity{Keys: "AWS_PROFILE"}, doctor.Check{Name: "id token", State: doctor.NotChecked, Found: "only jobs have one"}, ""},

		{"a role that trusts the token", doctor.Identity{Token: hour, Role: roleARN}, doctor.Check{Name: "role by token", State: doctor.OK, Found: roleARN}, ""},
		{"an entry role that does", chained, doctor.Check{Name: "role by token", State: doctor.OK, Found: entryRole}, ""},
		{"a role that does not", untrusted, doctor.Check{Name: "role by token", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied}, trust},
		{"a role of another partition, and two audiences", china, doctor.Check{Name: "role by token", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied},
			`{"Effect":"Allow","Principal":{"Federated":"arn:aws-cn:iam::333333333333:oidc-provider/gitlab.example.com"},` +
				`"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"gitlab.example.com:aud":["a","b"],` +
				`"gitlab.example.com:sub":"project_path:g/a&b:ref_type:branch:ref:main"}}}`},
		{"an STS that is down", doctor.Identity{Token: hour, Role: roleARN, First: remote},
			doctor.Check{Name: "role by token", State: doctor.Failed, Found: "ask it: connection refused", Setting: "try again", Code: fault.Remote}, ""},
		{"no role", doctor.Identity{Token: hour, Environment: "prod"}, doctor.Check{Name: "role by token", State: doctor.Failed, Found: "no role is named", Code: fault.Repository,
			Setting: "set role for the environment prod in towline.yaml, or the variable AWS_ROLE_ARN"}, ""},
		{"a role, but no token", doctor.Identity{Role: roleARN}, doctor.Check{Name: "role by token", State: doctor.NotChecked, Found: "there is no ID token"}, ""},
		{"a role, and a token that ended", doctor.Identity{Token: tokenFor(0), Role: roleARN, First: denied},
			doctor.Check{Name: "role by token", State: doctor.NotChecked, Found: "the ID token has ended"}, ""},

		{"one role alone", doctor.Identity{Token: hour, Role: roleARN}, doctor.Check{Name: "role", State: doctor.NotChecked, Found: "there is no other role to assume"}, ""},
		{"a second role", chained, doctor.Check{Name: "role", State: doctor.OK, Found: roleARN}, ""},
		{"a second role that trusts not the first", refused, doctor.Check{Name: "role", State: doctor.Failed, Found: "do it: AccessDenied", Code: fault.Denied,
			Setting: "add this to the trust policy of " + roleARN + ", and allow " + entryRole + " sts:AssumeRole on it"},
			`{"Effect":"Allow","Principal":{"AWS":"` + entryRole + `"},"Action":"sts:AssumeRole"}`},
		{"a second role that takes no tags", tagged, doctor.Check{Name: "role", State: doctor.Failed, Found: "do it: AccessDenied", Code: fault.Denied,
			Setting: "add this to the trust policy of " + roleARN + ", and allow " + entryRole + " sts:AssumeRole on it"},
			`{"Effect":"Allow","Principal":{"AWS":"` + entryRole + `"},"Action":["sts:AssumeRole","sts:TagSession"]}`},
		{"a second role behind one that is refused", untrusted, doctor.Check{Name: "role", State: doctor.NotChecked, Found: "the role before it cannot be assumed"}, ""},
		{"a second role, and nothing to sign in with", doctor.Identity{InJob: true, Role: roleARN, Second: denied, Called: denied},
			doctor.Check{Name: "role", State: doctor.NotChecked, Found: "there are no credentials"}, ""},
		{"a role that keys may not assume", doctor.Identity{Role: roleARN, Second: denied},
			doctor.Check{Name: "role", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied}, ""},

		{"a caller", doctor.Identity{Caller: "arn:aws:iam::1:user/me"}, doctor.Check{Name: "caller", State: doctor.OK, Found: "arn:aws:iam::1:user/me"}, ""},
		{"no caller", doctor.Identity{Called: denied}, doctor.Check{Name: "caller", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied}, ""},
		{"no caller for want of a token", doctor.Identity{InJob: true, Called: denied}, doctor.Check{Name: "caller", State: doctor.NotChecked, Found: "there are no credentials"}, ""},
		{"no caller behind a role that is refused", doctor.Identity{Token: hour, First: denied, Called: denied}, doctor.Check{Name: "caller", State: doctor.NotChecked, Found: "there are no credentials"}, ""},
		{"no caller behind a second role that is refused", doctor.Identity{Role: roleARN, Second: denied, Called: denied},
			doctor.Check{Name: "caller", State: doctor.NotChecked, Found: "there are no credentials"}, ""},
		{"no caller, and keys that assume no role", doctor.Identity{Keys: "AWS_PROFILE", Second: denied, Called: denied},
			doctor.Check{Name: "caller", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied}, ""},
		{"no caller with a token that is none", doctor.Identity{TokenRead: denied, Called: denied}, doctor.Check{Name: "caller", State: doctor.NotChecked, Found: "there are no credentials"}, ""},
		{"an STS that is down, in a job", doctor.Identity{InJob: true, Called: remote},
			doctor.Check{Name: "caller", State: doctor.Failed, Found: "ask it: connection refused", Setting: "try again", Code: fault.Remote}, ""},
		{"an execution role of this account", doctor.Identity{ExecutionRole: executing, CallerAccount: "222222222222"},
			doctor.Check{Name: "execution role", State: doctor.OK, Found: executing + " lies in this account"}, ""},
		{"an execution role of another account", doctor.Identity{ExecutionRole: executing, CallerAccount: "111111111111", Environment: "prod"}, doctor.Check{Name: "execution role",
			State: doctor.Failed, Found: executing + " lies in account 222222222222, and the job works in 111111111111", Code: fault.Repository,
			Setting: "name a role of account 111111111111 as execution_role of the environment prod, or another role"}, ""},
		{"an execution role, but no caller", doctor.Identity{ExecutionRole: executing, Called: denied},
			doctor.Check{Name: "execution role", State: doctor.NotChecked, Found: "the account is not known"}, ""},
		{"what cannot be asked", doctor.Identity{ExecutionRole: executing}, doctor.Check{Name: "pass role", State: doctor.NotChecked, Setting: "the job's role needs this",
			Found: "whether iam:PassRole is allowed cannot be asked without creating something"}, pass},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.identity.Server = "https://gitlab.example.com"
			same(t, doctor.Facts{Identity: tt.identity}, doctor.GroupIdentity, want{tt.want, tt.paste})
		})
	}
}
