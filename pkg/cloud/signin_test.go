package cloud_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitlab.com/towline/towline/internal/gitlabtest"
	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud"
	"gitlab.com/towline/towline/pkg/secret"
)

const (
	entryRole  = "arn:aws:iam::111111111111:role/towline-entry"
	deployRole = "arn:aws:iam::222222222222:role/towline-deploy"
)

// trusting starts a local cloud whose entry role trusts the issuer's main
// branch, and whose deploy role trusts the entry role.
func trusting(t *testing.T, issuer *gitlabtest.Issuer, actions string) *localcloud.Cloud {
	t.Helper()
	return trustingIn(t, t.TempDir(), issuer, actions, nil)
}

func trustingIn(t *testing.T, dir string, issuer *gitlabtest.Issuer, actions string, now func() time.Time) *localcloud.Cloud {
	t.Helper()
	host := strings.TrimPrefix(issuer.URL, "http://")
	text := fmt.Sprintf(`{"providers": [{"url": %q, "account": "111111111111", "client_ids": ["https://aws"]}], "roles": [
	  {"arn": %q, "trust": {"Statement": {"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::111111111111:oidc-provider/%s"},
	    "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {"%s:aud": "https://aws", "%s:sub": %q}}}}},
	  {"arn": %q, "trust": {"Statement": {"Effect": "Allow", "Principal": {"AWS": %q}, "Action": %s}}}]}`,
		issuer.URL, entryRole, host, host, host, gitlabtest.Subject, deployRole, entryRole, actions)
	path := filepath.Join(t.TempDir(), "trust.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := localcloud.Start(t.Context(), localcloud.Options{Dir: dir, Trust: path, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func idToken(t *testing.T, issuer *gitlabtest.Issuer, c gitlabtest.Claims) secret.Value {
	t.Helper()
	if c.Audience == nil {
		c.Audience = []string{"https://aws"}
	}
	if c.Issued.IsZero() {
		c.Issued = time.Now()
	}
	text, err := issuer.Token(c)
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(text)
}

// quiet keeps the machine's own AWS settings out of a test.
func quiet(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ENDPOINT_URL"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "credentials"))
}

func TestSigningInWithAToken(t *testing.T) {
	quiet(t)
	issuer := gitlabtest.StartIssuer(t)
	c := trusting(t, issuer, `["sts:AssumeRole", "sts:TagSession"]`)
	token := idToken(t, issuer, gitlabtest.Claims{})
	for _, tt := range []struct {
		name string
		cfg  cloud.Config
		want string
	}{
		{"the environment's role", cloud.Config{Role: entryRole}, "arn:aws:sts::111111111111:assumed-role/towline-entry/gl-42-2002"},
		{"a role of another account, through one that trusts GitLab", cloud.Config{EntryRole: entryRole, Role: deployRole},
			"arn:aws:sts::222222222222:assumed-role/towline-deploy/gl-42-2002"},
		{"tags for the second session", cloud.Config{EntryRole: entryRole, Role: deployRole, Tags: map[string]string{"gitlab:ref": "a#b", "x": strings.Repeat("é", 300)}},
			"arn:aws:sts::222222222222:assumed-role/towline-deploy/gl-42-2002"},
		{"the same role twice", cloud.Config{EntryRole: entryRole, Role: entryRole}, "arn:aws:sts::111111111111:assumed-role/towline-entry/gl-42-2002"},
		{"a role of the job's variables alone", cloud.Config{EntryRole: entryRole}, "arn:aws:sts::111111111111:assumed-role/towline-entry/gl-42-2002"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Region, tt.cfg.Endpoint, tt.cfg.Token, tt.cfg.Session = "eu-west-1", c.URL(), token, "gl-42-2002"
			client, err := cloud.New(t.Context(), tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if who, err := client.Identity(t.Context()); err != nil || who.ARN != tt.want {
				t.Errorf("Identity = %s, %v, want %s", who.ARN, err, tt.want)
			}
		})
	}
}

func TestWhyATokenIsRefused(t *testing.T) {
	quiet(t)
	issuer := gitlabtest.StartIssuer(t)
	host := strings.TrimPrefix(issuer.URL, "http://")
	c := trusting(t, issuer, `"sts:AssumeRole"`)
	past := time.Now().Add(-10 * time.Minute)
	for _, tt := range []struct {
		name       string
		cfg        cloud.Config
		claims     gitlabtest.Claims
		want, hint string
	}{
		{"another branch", cloud.Config{Role: entryRole}, gitlabtest.Claims{Subject: "project_path:group/tiny:ref_type:branch:ref:x"},
			"ask AWS who we are: assume " + entryRole + " with AWS_ID_TOKEN: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity",
			"let the trust policy of the role allow sts:AssumeRoleWithWebIdentity where " + host + ":aud is \"https://aws\" and " +
				host + ":sub is \"project_path:group/tiny:ref_type:branch:ref:x\"; a pattern with * needs StringLike"},
		{"another audience", cloud.Config{Role: entryRole}, gitlabtest.Claims{Audience: []string{"https://vault"}},
			"ask AWS who we are: assume " + entryRole + " with AWS_ID_TOKEN: InvalidIdentityToken: Incorrect token audience",
			"set aud: of the job's id_tokens to an audience of the identity provider " + host + " in IAM, or add \"https://vault\" to its audiences"},
		{"another account", cloud.Config{Role: deployRole}, gitlabtest.Claims{},
			"ask AWS who we are: assume " + deployRole + " with AWS_ID_TOKEN: InvalidIdentityToken: No OpenIDConnect provider found in your account for " + issuer.URL,
			"create the identity provider " + issuer.URL + " with the audience \"https://aws\" in account 222222222222 (IAM, Identity providers)"},
		{"a job without timeout", cloud.Config{Role: entryRole}, gitlabtest.Claims{Issued: past, Life: 5 * time.Minute},
			"ask AWS who we are: assume " + entryRole + " with AWS_ID_TOKEN: ExpiredTokenException: Token expired: ",
			"set timeout: on the job, longer than it runs: without it GitLab's token lives 5 minutes"},
		{"a job that outlived its timeout", cloud.Config{Role: entryRole}, gitlabtest.Claims{Issued: past.Add(-time.Hour), Life: time.Hour},
			"ask AWS who we are: assume " + entryRole + " with AWS_ID_TOKEN: ExpiredTokenException: Token expired: ",
			"GitLab's token lives as long as the job's timeout: set timeout: to more than the job runs, and check this machine's clock"},
		{"tags that the second role does not allow", cloud.Config{EntryRole: entryRole, Role: deployRole, Tags: map[string]string{"x": "y"}}, gitlabtest.Claims{},
			"ask AWS who we are: assume the role " + deployRole + ": AccessDenied: User: arn:aws:sts::111111111111:assumed-role/towline-entry/towline " +
				"is not authorized to perform: sts:TagSession on resource: " + deployRole,
			"add sts:TagSession to the actions in the role's trust policy, or remove session_tags from the environment"},
		{"a second role that does not trust the first", cloud.Config{EntryRole: entryRole, Role: deployRole + "er"}, gitlabtest.Claims{},
			"ask AWS who we are: assume the role " + deployRole + "er: AccessDenied: User: arn:aws:sts::111111111111:assumed-role/towline-entry/towline " +
				"is not authorized to perform: sts:AssumeRole on resource: " + deployRole + "er",
			"let the environment's role be assumed: allow " + entryRole + " sts:AssumeRole on it, and name " + entryRole + " as Principal in the role's trust policy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token := idToken(t, issuer, tt.claims)
			tt.cfg.Region, tt.cfg.Endpoint, tt.cfg.Token = "eu-west-1", c.URL(), token
			client, err := cloud.New(t.Context(), tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Identity(t.Context())
			if err == nil || fault.KindOf(err) != fault.Denied || !strings.HasPrefix(err.Error(), tt.want) || fault.HintOf(err) != tt.hint {
				t.Errorf("Identity = %v\nhint %s (%v)\nwant %s\nhint %s", err, fault.HintOf(err), fault.KindOf(err), tt.want, tt.hint)
			}
			if strings.Contains(fmt.Sprintf("%+v %s", err, fault.HintOf(err)), token.Reveal()) {
				t.Error("the token shows")
			}
		})
	}
}

// TestWhatSTSSaysOfTokens gives the answers of AWS that the local cloud has no
// reason for.
func TestWhatSTSSaysOfTokens(t *testing.T) {
	quiet(t)
	issuer := gitlabtest.StartIssuer(t)
	for _, tt := range []struct {
		code, message string
		kind          fault.Kind
		hint          string
	}{
		{"InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements",
			fault.Denied, "set ci_id_tokens_issuer_url in gitlab.rb (GitLab 18.1)"},
		{"InvalidIdentityToken", "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint", fault.Denied, "correct the thumbprint of the identity provider in IAM"},
		{"InvalidIdentityToken", "The ID Token provided is not a valid JWT.", fault.Denied, "id_tokens: AWS_ID_TOKEN: {aud: " + issuer.URL + "}"},
		{"IDPCommunicationError", "the identity provider could not be reached", fault.Remote, "let AWS reach " + issuer.URL + "/.well-known/openid-configuration"},
	} {
		t.Run(tt.message, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", tt.code, tt.message)
			}))
			defer server.Close()
			client, err := cloud.New(t.Context(), cloud.Config{Region: "eu-west-1", Endpoint: server.URL, Role: entryRole, Token: idToken(t, issuer, gitlabtest.Claims{})})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Identity(t.Context())
			if err == nil || fault.KindOf(err) != tt.kind || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Errorf("Identity = %v (%v), hint %s\nwant %v, hint %s", err, fault.KindOf(err), fault.HintOf(err), tt.kind, tt.hint)
			}
		})
	}
}

// TestSessionsAreOpenedAgain runs against a cloud whose clock is an hour late,
// so that every session ends at once by ours.
func TestSessionsAreOpenedAgain(t *testing.T) {
	quiet(t)
	issuer := gitlabtest.StartIssuer(t)
	late := func() time.Time { return time.Now().Add(-time.Hour + 30*time.Second) }
	dir := t.TempDir()
	c := trustingIn(t, dir, issuer, `"sts:AssumeRole"`, late)
	token := idToken(t, issuer, gitlabtest.Claims{Issued: time.Now().Add(-2 * time.Hour), Life: 5 * time.Hour})
	client, err := cloud.New(t.Context(), cloud.Config{Region: "eu-west-1", Endpoint: c.URL(), Role: deployRole, EntryRole: entryRole, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := client.Identity(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	opened, err := filepath.Glob(filepath.Join(dir, "sts", "sessions", "*"))
	if err != nil || len(opened) != 6 {
		t.Errorf("%d sessions were opened in three calls, want 6: two for each", len(opened))
	}
}

func TestTokensThatAreNone(t *testing.T) {
	quiet(t)
	for _, text := range []string{"glpat-looks-like-a-token", "a.b.c", "a.e30.c", strings.Repeat("a", 30000)} {
		_, err := cloud.New(t.Context(), cloud.Config{Region: "eu-west-1", Role: entryRole, Token: secret.New(text)})
		if fault.KindOf(err) != fault.Denied || strings.Contains(err.Error(), text) {
			t.Errorf("New = %v, want it denied, without the text", err)
		}
	}
	issuer := gitlabtest.StartIssuer(t)
	_, err := cloud.New(t.Context(), cloud.Config{Region: "eu-west-1", Token: idToken(t, issuer, gitlabtest.Claims{})})
	if fault.KindOf(err) != fault.Repository {
		t.Errorf("New without a role = %v, want a fault of the repository", err)
	}
}

func FuzzReadToken(f *testing.F) {
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4Iiwic3ViIjoieSIsImF1ZCI6WyJ6Il0sImV4cCI6MWUzMDB9.")
	f.Fuzz(func(t *testing.T, text string) {
		claims, err := cloud.ReadToken(secret.New(text))
		if err == nil && (claims.Issuer == "" || claims.Subject == "") {
			t.Errorf("ReadToken(%q) = %+v", text, claims)
		}
	})
}
