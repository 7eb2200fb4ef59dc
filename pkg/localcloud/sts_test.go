package localcloud_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"gitlab.com/towline/towline/internal/gitlabtest"
	"gitlab.com/towline/towline/pkg/localcloud"
)

const (
	entry  = "arn:aws:iam::111111111111:role/ci/towline-entry"
	deploy = "arn:aws:iam::222222222222:role/towline-deploy"
	tagged = "arn:aws:iam::222222222222:role/towline-tagged"
)

// trustIn writes a trust file: entry trusts the issuer's main branch, deploy
// trusts entry, and tagged takes its session tags too.
func trustIn(t *testing.T, issuer *gitlabtest.Issuer, operator, subject string) string {
	t.Helper()
	host := strings.TrimPrefix(issuer.URL, "http://")
	text := fmt.Sprintf(`{
	  "providers": [{"url": %q, "account": "111111111111", "client_ids": ["https://aws"]}],
	  "roles": [
	    {"arn": %q, "trust": {"Version": "2012-10-17", "Statement": [{
	      "Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::111111111111:oidc-provider/%s"},
	      "Action": "sts:AssumeRoleWithWebIdentity",
	      "Condition": {"StringEquals": {"%s:aud": "https://aws"}, %q: {"%s:sub": %q}}}]}},
	    {"arn": %q, "trust": {"Version": "2012-10-17", "Statement": {
	      "Effect": "Allow", "Principal": {"AWS": [%q]}, "Action": "sts:AssumeRole"}}},
	    {"arn": %q, "max_session_duration": 7200, "trust": {"Version": "2012-10-17", "Statement": [{
	      "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": ["sts:AssumeRole", "sts:TagSession"],
	      "Condition": {"StringLike": {"aws:RequestTag/project": "group/*"}}}]}}
	  ]}`, issuer.URL, entry, host, host, operator, host, subject, deploy, entry, tagged)
	path := filepath.Join(t.TempDir(), "trust.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func token(t *testing.T, issuer *gitlabtest.Issuer, c gitlabtest.Claims) string {
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
	return text
}

func assume(t *testing.T, c *cloud, role, raw string) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	t.Helper()
	return c.identity.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(role), RoleSessionName: aws.String("gl-42-2002"), WebIdentityToken: aws.String(raw),
	})
}

// with speaks to STS with the credentials of a session.
func with(c *cloud, given *types.Credentials) *sts.Client {
	return sts.New(sts.Options{
		Region: localcloud.Region, BaseEndpoint: aws.String(c.URL()), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(*given.AccessKeyId, *given.SecretAccessKey, *given.SessionToken),
	})
}

func TestATokenIsHeldAgainstTheTrust(t *testing.T) {
	issuer, other := gitlabtest.StartIssuer(t), gitlabtest.StartIssuer(t)
	now := time.Now()
	for _, tt := range []struct {
		name              string
		operator, subject string // of the trust policy
		role              string
		claims            gitlabtest.Claims
		forged            bool // signed by another issuer
		want              string
	}{
		{"the subject in full", "StringEquals", gitlabtest.Subject, entry, gitlabtest.Claims{}, false, ""},
		{"a wildcard", "StringLike", "project_path:group/*:ref_type:branch:ref:main", entry, gitlabtest.Claims{}, false, ""},
		{"one of several audiences", "StringEquals", gitlabtest.Subject, entry, gitlabtest.Claims{Audience: []string{"x", "https://aws"}}, false, ""},
		{"a wildcard that is compared as text", "StringEquals", "project_path:group/*", entry, gitlabtest.Claims{}, false,
			"AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"another branch", "StringEquals", gitlabtest.Subject, entry, gitlabtest.Claims{Subject: "project_path:group/tiny:ref_type:branch:ref:x"}, false,
			"AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"a role that is not there", "StringEquals", gitlabtest.Subject, entry + "s", gitlabtest.Claims{}, false,
			"AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"a role of an account without the provider", "StringEquals", gitlabtest.Subject, deploy, gitlabtest.Claims{}, false,
			"InvalidIdentityToken: No OpenIDConnect provider found in your account for " + issuer.URL},
		{"another audience", "StringEquals", gitlabtest.Subject, entry, gitlabtest.Claims{Audience: []string{"https://vault"}}, false,
			"InvalidIdentityToken: Incorrect token audience"},
		{"another issuer", "StringEquals", gitlabtest.Subject, entry, gitlabtest.Claims{Issuer: other.URL}, false,
			"InvalidIdentityToken: No OpenIDConnect provider found in your account for " + other.URL},
		{"a token that has run out", "StringEquals", gitlabtest.Subject, entry, gitlabtest.Claims{Issued: now.Add(-10 * time.Minute), Life: 5 * time.Minute}, false,
			"ExpiredTokenException: Token expired: current date/time"},
		{"a token of tomorrow", "StringEquals", gitlabtest.Subject, entry, gitlabtest.Claims{Issued: now.Add(24 * time.Hour)}, false,
			"InvalidIdentityToken: Token is not valid yet"},
		{"a token that another key signed", "StringEquals", gitlabtest.Subject, entry, gitlabtest.Claims{Issuer: issuer.URL}, true,
			"InvalidIdentityToken: Invalid signature on the ID Token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t, localcloud.Options{Trust: trustIn(t, issuer, tt.operator, tt.subject)})
			by := issuer
			if tt.forged {
				by = other
			}
			out, err := assume(t, c, tt.role, token(t, by, tt.claims))
			if got := said(err); tt.want == "" && err != nil || !strings.HasPrefix(got, tt.want) {
				t.Fatalf("AssumeRoleWithWebIdentity = %v, want %q", err, tt.want)
			}
			if tt.want != "" {
				return
			}
			if got := aws.ToString(out.SubjectFromWebIdentityToken); got != gitlabtest.Subject {
				t.Errorf("the subject is %q, want %q", got, gitlabtest.Subject)
			}
			who, err := with(c, out.Credentials).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			want := "arn:aws:sts::111111111111:assumed-role/towline-entry/gl-42-2002"
			if err != nil || aws.ToString(who.Arn) != want || aws.ToString(out.AssumedRoleUser.Arn) != want || aws.ToString(who.Account) != "111111111111" {
				t.Errorf("GetCallerIdentity = %+v, %v, want %s", who, err, want)
			}
		})
	}
}

// said is code and message of an answer.
func said(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	return api.ErrorCode() + ": " + api.ErrorMessage()
}

func TestWithoutTrustNobodyIsLetIn(t *testing.T) {
	issuer := gitlabtest.StartIssuer(t)
	c := start(t, localcloud.Options{})
	_, err := assume(t, c, entry, token(t, issuer, gitlabtest.Claims{}))
	if want := "InvalidIdentityToken: No OpenIDConnect provider found"; !strings.HasPrefix(said(err), want) {
		t.Errorf("AssumeRoleWithWebIdentity = %v, want %s", err, want)
	}
	if _, err := assume(t, c, entry, "no token"); !strings.HasPrefix(said(err), "InvalidIdentityToken: The ID Token provided is not a valid JWT") {
		t.Errorf("AssumeRoleWithWebIdentity = %v, want InvalidIdentityToken", err)
	}
}

func TestKeysOfAnIssuer(t *testing.T) {
	t.Run("from a file, without asking", func(t *testing.T) {
		issuer := gitlabtest.StartIssuer(t)
		keys, err := issuer.Keys()
		if err != nil {
			t.Fatal(err)
		}
		trust := trustIn(t, issuer, "StringEquals", gitlabtest.Subject)
		text, err := os.ReadFile(trust)
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.Replace(string(text), `"client_ids"`, `"jwks": "keys.json", "client_ids"`, 1))
		err = errors.Join(os.WriteFile(trust, text, 0o600), os.WriteFile(filepath.Join(filepath.Dir(trust), "keys.json"), keys, 0o600))
		if err != nil {
			t.Fatal(err)
		}
		issuer.Break()
		if _, err := assume(t, start(t, localcloud.Options{Trust: trust}), entry, token(t, issuer, gitlabtest.Claims{})); err != nil {
			t.Errorf("AssumeRoleWithWebIdentity = %v, want the keys of the file to do", err)
		}
	})
	t.Run("an issuer that is out of order", func(t *testing.T) {
		issuer := gitlabtest.StartIssuer(t)
		c := start(t, localcloud.Options{Trust: trustIn(t, issuer, "StringEquals", gitlabtest.Subject)})
		issuer.Break()
		if _, err := assume(t, c, entry, token(t, issuer, gitlabtest.Claims{})); !strings.HasPrefix(said(err), "IDPCommunicationError: ") {
			t.Errorf("AssumeRoleWithWebIdentity = %v, want IDPCommunicationError", err)
		}
	})
	t.Run("an issuer that calls itself another", func(t *testing.T) {
		issuer := gitlabtest.StartIssuer(t)
		front := httptest.NewServer(issuer)
		t.Cleanup(front.Close)
		other := *issuer
		other.URL = front.URL
		c := start(t, localcloud.Options{Trust: trustIn(t, &other, "StringEquals", gitlabtest.Subject)})
		if _, err := assume(t, c, entry, token(t, &other, gitlabtest.Claims{})); !strings.HasPrefix(said(err), "InvalidIdentityToken: ") {
			t.Errorf("AssumeRoleWithWebIdentity = %v, want the keys of another issuer refused", err)
		}
	})
	t.Run("an issuer that is not there", func(t *testing.T) {
		issuer := gitlabtest.StartIssuer(t)
		issuer.URL = "http://127.0.0.1:1"
		c := start(t, localcloud.Options{Trust: trustIn(t, issuer, "StringEquals", gitlabtest.Subject)})
		_, err := assume(t, c, entry, token(t, issuer, gitlabtest.Claims{}))
		if want := "InvalidIdentityToken: Couldn't retrieve verification key from your identity provider"; !strings.HasPrefix(said(err), want) {
			t.Errorf("AssumeRoleWithWebIdentity = %v, want %s", err, want)
		}
	})
}

func TestARoleAssumesAnother(t *testing.T) {
	issuer := gitlabtest.StartIssuer(t)
	c := start(t, localcloud.Options{Trust: trustIn(t, issuer, "StringEquals", gitlabtest.Subject)})
	first, err := assume(t, c, entry, token(t, issuer, gitlabtest.Claims{}))
	if err != nil {
		t.Fatal(err)
	}
	session := with(c, first.Credentials)
	project := []types.Tag{{Key: aws.String("project"), Value: aws.String("group/tiny")}}
	for _, tt := range []struct {
		name   string
		client *sts.Client
		in     sts.AssumeRoleInput
		want   string
	}{
		{"a role that names it", session, sts.AssumeRoleInput{RoleArn: aws.String(deploy)}, ""},
		{"with the tags that the trust asks for", session, sts.AssumeRoleInput{RoleArn: aws.String(tagged), Tags: project}, ""},
		{"without the tags that the trust asks for", session, sts.AssumeRoleInput{RoleArn: aws.String(tagged)},
			"AccessDenied: User: arn:aws:sts::111111111111:assumed-role/towline-entry/gl-42-2002 is not authorized to perform: sts:AssumeRole on resource: " + tagged},
		{"tags that the trust does not allow", session, sts.AssumeRoleInput{RoleArn: aws.String(deploy), Tags: project},
			"AccessDenied: User: arn:aws:sts::111111111111:assumed-role/towline-entry/gl-42-2002 is not authorized to perform: sts:TagSession on resource: " + deploy},
		{"a role that does not name it", c.identity, sts.AssumeRoleInput{RoleArn: aws.String(deploy)},
			"AccessDenied: User: arn:aws:iam::000000000000:user/towline is not authorized to perform: sts:AssumeRole on resource: " + deploy},
		{"longer than a chain may last", session, sts.AssumeRoleInput{RoleArn: aws.String(tagged), Tags: project, DurationSeconds: aws.Int32(7200)},
			"ValidationError: The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		{"shorter than any session", session, sts.AssumeRoleInput{RoleArn: aws.String(deploy), DurationSeconds: aws.Int32(60)},
			"ValidationError: 1 validation error detected: Value '60' at 'durationSeconds'"},
		{"a session of a bad name", session, sts.AssumeRoleInput{RoleArn: aws.String(deploy), RoleSessionName: aws.String("a b")},
			"ValidationError: 1 validation error detected: Value 'a b' at 'roleSessionName'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.in.RoleSessionName == nil {
				tt.in.RoleSessionName = aws.String("gl-42-2002")
			}
			out, err := tt.client.AssumeRole(t.Context(), &tt.in)
			if got := said(err); tt.want == "" && err != nil || !strings.HasPrefix(got, tt.want) {
				t.Fatalf("AssumeRole = %v, want %q", err, tt.want)
			}
			if err == nil && !strings.HasPrefix(*out.AssumedRoleUser.Arn, "arn:aws:sts::222222222222:assumed-role/towline-") {
				t.Errorf("AssumeRole = %s, want a role of the other account", *out.AssumedRoleUser.Arn)
			}
		})
	}
}

func TestTemporaryCredentialsEnd(t *testing.T) {
	issuer := gitlabtest.StartIssuer(t)
	now := time.Now()
	trust := trustIn(t, issuer, "StringEquals", gitlabtest.Subject)
	c := start(t, localcloud.Options{Trust: trust, Now: func() time.Time { return now }})
	out, err := assume(t, c, entry, token(t, issuer, gitlabtest.Claims{}))
	if err != nil {
		t.Fatal(err)
	}
	objects := func(c *cloud, key, secret, token string) error {
		client := s3.New(s3.Options{
			Region: localcloud.Region, BaseEndpoint: aws.String(c.URL()), UsePathStyle: true, RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider(key, secret, token),
		})
		_, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(localcloud.Bucket)})
		return err
	}
	given := out.Credentials
	if err := objects(c, *given.AccessKeyId, *given.SecretAccessKey, *given.SessionToken); err != nil {
		t.Errorf("ListObjectsV2 with a fresh session = %v", err)
	}
	if err := objects(c, *given.AccessKeyId, *given.SecretAccessKey, "another"); code(err) != "InvalidAccessKeyId" {
		t.Errorf("ListObjectsV2 with another token = %v, want InvalidAccessKeyId", err)
	}
	if err := objects(c, "ASIAAAAAAAAAAAAAAAAA", "x", "y"); code(err) != "InvalidAccessKeyId" {
		t.Errorf("ListObjectsV2 with a session that never was = %v, want InvalidAccessKeyId", err)
	}

	c.close(t)
	now = now.Add(2 * time.Hour)
	c = start(t, localcloud.Options{Dir: c.dir, Trust: trust, Now: func() time.Time { return now }})
	if err := objects(c, *given.AccessKeyId, *given.SecretAccessKey, *given.SessionToken); code(err) != "ExpiredToken" {
		t.Errorf("ListObjectsV2 with a session that has ended = %v, want ExpiredToken", err)
	}
	if _, err := with(c, given).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); code(err) != "ExpiredToken" {
		t.Errorf("GetCallerIdentity = %v, want ExpiredToken", err)
	}
}

func TestTrustFilesThatAreWrong(t *testing.T) {
	role := func(trust string) string {
		return `{"roles": [{"arn": "arn:aws:iam::111111111111:role/r", "trust": ` + trust + `}]}`
	}
	for _, tt := range []struct{ name, text, want string }{
		{"no JSON", `roles: []`, "invalid character"},
		{"an unknown key", `{"role": []}`, `unknown field "role"`},
		{"an issuer without TLS", `{"providers": [{"url": "http://gitlab.example.com", "client_ids": ["x"]}]}`, "wanted https, or http on this machine"},
		{"an issuer with a slash", `{"providers": [{"url": "https://gitlab.example.com/", "client_ids": ["x"]}]}`, "without / at its end"},
		{"no audience", `{"providers": [{"url": "https://gitlab.example.com"}]}`, "wanted client_ids"},
		{"keys that are not there", `{"providers": [{"url": "https://gitlab.example.com", "client_ids": ["x"], "jwks": "none.json"}]}`, "no such file"},
		{"a role that is no ARN", `{"roles": [{"arn": "r"}]}`, "wanted an ARN"},
		{"a policy without statements", role(`{"Version": "2012-10-17"}`), "has no Statement"},
		{"a misspelt effect", role(`{"Statement": {"Effect": "allow", "Principal": "*", "Action": "sts:*"}}`), "wanted Allow or Deny"},
		{"a misspelt member", role(`{"Statement": {"Effect": "Allow", "Principals": "*", "Action": "sts:*"}}`), `unknown field "Principals"`},
		{"an operator that is not judged", role(`{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}}`), "does not judge the condition IpAddress"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "trust.json")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := localcloud.Start(t.Context(), localcloud.Options{Dir: t.TempDir(), Trust: path})
			if err == nil {
				_ = c.Close(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Start = %v, want %q", err, tt.want)
			}
		})
	}
}

// TestNoSecretIsKept looks through the folder of a cloud that gave credentials out.
func TestNoSecretIsKept(t *testing.T) {
	issuer := gitlabtest.StartIssuer(t)
	c := start(t, localcloud.Options{Trust: trustIn(t, issuer, "StringEquals", gitlabtest.Subject)})
	raw := token(t, issuer, gitlabtest.Claims{})
	out, err := assume(t, c, entry, raw)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(c.dir, "sts", "sessions", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("sessions are %v, %v, want one", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil || !json.Valid(text) {
		t.Fatalf("session %s, %v", text, err)
	}
	for _, secret := range []string{raw, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the session's file holds a secret: %s", text)
		}
	}
}

func TestRefusalsInTheFormOfTheService(t *testing.T) {
	c := start(t, localcloud.Options{})
	for _, tt := range []struct{ service, want string }{
		{"sagemaker", `{"__type":"UnrecognizedClientException"`},
		{"s3", `<Error><Code>InvalidAccessKeyId</Code>`},
		{"sts", `<Code>InvalidClientTokenId</Code>`},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.URL()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=ASIAX/20260101/us-east-1/"+tt.service+"/aws4_request, SignedHeaders=host, Signature=0")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if body := read(t, resp.Body); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, tt.want) {
			t.Errorf("%s = %d %s, want 403 %s", tt.service, resp.StatusCode, body, tt.want)
		}
	}
}
