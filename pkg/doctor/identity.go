package doctor

import (
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
)

// Identity is as whom AWS is spoken to.
type Identity struct {
	Skip  string
	InJob bool

	Server        string // address of GitLab
	Environment   string
	Token         *Token // the job's ID token; nil if there is none that can be read
	TokenRead     Answer
	Keys          string // the variable by which other credentials are known; "" for none
	EntryRole     string // assumed by the token, or by other credentials; "" for none
	Role          string // that the job ends up as; "" for none
	SessionTags   bool
	First         Answer // assuming the first role by the token
	Second        Answer // assuming Role by the credentials that come before it
	Caller        string // ARN
	CallerAccount string
	Called        Answer
	ExecutionRole string
}

// Token is what an ID token says of itself.
type Token struct {
	Issuer   string
	Subject  string
	Audience []string
	Issued   time.Time
	Expires  time.Time
}

// provider is the issuer as trust policies name it, without its scheme.
func (t Token) provider() string {
	_, name, found := strings.Cut(t.Issuer, "://")
	if !found {
		return t.Issuer
	}
	return name
}

// first is the role that a token assumes.
func (i Identity) first() string {
	if i.EntryRole != "" {
		return i.EntryRole
	}
	return i.Role
}

// chained says whether there is a second role.
func (i Identity) chained() bool {
	if i.Token == nil {
		return i.Role != ""
	}
	return i.Role != "" && i.Role != i.first()
}

// empty says whether a job has nothing to sign in with.
func (i Identity) empty() bool {
	return i.Token == nil && i.InJob && i.Keys == "" && i.Called.denied()
}

func (i Identity) checks(now time.Time) []Check {
	return []Check{i.token(now), i.trust(now), i.role(), i.caller(), i.execution(), i.pass()}
}

// shortLife is how long a token lives whose job has no timeout, and a little more.
const shortLife = 5*time.Minute + 30*time.Second

func (i Identity) token(now time.Time) Check {
	const name = "id token"
	write := "write in the job id_tokens: {AWS_ID_TOKEN: {aud: \"" + i.Server + "\"}} and a timeout"
	switch t := i.Token; {
	case t == nil && i.TokenRead.Kind != 0:
		return i.TokenRead.check(name, "")
	case t == nil && i.InJob && i.Keys == "" && !i.empty():
		return Check{Name: name, State: Warning, Found: "no AWS_ID_TOKEN, but credentials of the runner", Setting: write + ": other jobs on that runner have them too"}
	case t == nil && i.InJob && i.Keys == "":
		return Check{Name: name, State: Failed, Found: "no AWS_ID_TOKEN, and no other credentials", Setting: write, Code: fault.Denied}
	case t == nil && i.InJob:
		return Check{Name: name, State: Warning, Found: i.Keys + " is used, and no AWS_ID_TOKEN", Setting: write + ", and remove the other: what is stored does not end by itself"}
	case t == nil:
		return Check{Name: name, State: NotChecked, Found: "only jobs have one"}
	case !now.Before(t.Expires):
		return Check{
			Name: name, State: Failed, Found: t.describe() + ", ended at " + t.Expires.Format(time.RFC3339), Code: fault.Denied,
			Setting: "set timeout: on the job, to more than it runs: GitLab's token lives as long, and without it 5 minutes",
		}
	case t.Expires.Sub(t.Issued) <= shortLife:
		return Check{
			Name: name, State: Warning, Found: t.describe() + ", lives 5 minutes",
			Setting: "set timeout: on the job, to more than it runs: GitLab's token lives as long",
		}
	}
	return Check{Name: name, State: OK, Found: i.Token.describe() + ", lives " + i.Token.Expires.Sub(i.Token.Issued).String()}
}

func (t Token) describe() string {
	return "iss " + t.Issuer + ", aud " + strings.Join(t.Audience, " ") + ", sub " + t.Subject
}

// trust says whether the first role lets the token in.
func (i Identity) trust(now time.Time) Check {
	const name = "role by token"
	switch {
	case i.Token == nil:
		return Check{Name: name, State: NotChecked, Found: "there is no ID token"}
	case !now.Before(i.Token.Expires):
		return Check{Name: name, State: NotChecked, Found: "the ID token has ended"}
	case i.first() == "":
		return Check{
			Name: name, State: Failed, Found: "no role is named", Code: fault.Repository,
			Setting: "set role for the environment " + i.Environment + " in towline.yaml, or the variable AWS_ROLE_ARN",
		}
	}
	c := i.First.check(name, i.first())
	return c.pasting(i.First, trustToken(i.first(), *i.Token))
}

// role says whether Role may be assumed by the credentials that come before it.
func (i Identity) role() Check {
	const name = "role"
	switch {
	case !i.chained():
		return Check{Name: name, State: NotChecked, Found: "there is no other role to assume"}
	case i.Token != nil && !i.First.Good():
		return Check{Name: name, State: NotChecked, Found: "the role before it cannot be assumed"}
	case i.empty():
		return Check{Name: name, State: NotChecked, Found: "there are no credentials"}
	}
	c := i.Second.check(name, i.Role)
	if i.Token == nil || !i.Second.denied() {
		return c
	}
	c.Setting = "add this to the trust policy of " + i.Role + ", and allow " + i.first() + " sts:AssumeRole on it"
	c.Paste = trustRole(i.first(), i.SessionTags)
	return c
}

// caller is who we are in the end. What was told of the way there is not told
// again.
func (i Identity) caller() Check {
	const name = "caller"
	told := !i.First.Good() || i.chained() && !i.Second.Good() || i.TokenRead.Kind != 0 || i.empty()
	if told && !i.Called.Good() {
		return Check{Name: name, State: NotChecked, Found: "there are no credentials"}
	}
	return i.Called.check(name, i.Caller)
}

// execution holds the account of the role that SageMaker assumes against ours.
func (i Identity) execution() Check {
	const name = "execution role"
	there := account(i.ExecutionRole)
	switch {
	case !i.Called.Good():
		return Check{Name: name, State: NotChecked, Found: "the account is not known"}
	case there != i.CallerAccount:
		return Check{
			Name: name, State: Failed, Found: i.ExecutionRole + " lies in account " + there + ", and the job works in " + i.CallerAccount,
			Setting: "name a role of account " + i.CallerAccount + " as execution_role of the environment " + i.Environment + ", or another role", Code: fault.Repository,
		}
	}
	return Check{Name: name, State: OK, Found: i.ExecutionRole + " lies in this account"}
}

// pass tells what cannot be found out.
func (i Identity) pass() Check {
	return Check{
		Name: "pass role", State: NotChecked, Found: "whether iam:PassRole is allowed cannot be asked without creating something",
		Setting: "the job's role needs this", Paste: passRole(i.ExecutionRole),
	}
}
