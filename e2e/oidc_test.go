package e2e_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gitlab.com/towline/towline/internal/gitlabtest"
	"gitlab.com/towline/towline/pkg/localcloud"
)

// issuers keeps the issuer of a script.
type issuers struct{ *gitlabtest.Issuer }

// issuer starts a GitLab that signs ID tokens: issuer VARIABLE, which is set to
// its address, and VARIABLE_HOST to that without http://.
func issuer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: issuer VARIABLE")
	}
	made, err := gitlabtest.NewIssuer()
	ts.Check(err)
	server := httptest.NewServer(made)
	ts.Defer(server.Close)
	made.URL = server.URL
	ts.Value("issuer").(*issuers).Issuer = made
	ts.Setenv(args[0], server.URL)
	ts.Setenv(args[0]+"_HOST", strings.TrimPrefix(server.URL, "http://"))
}

// idToken signs a token of a job: idtoken VARIABLE [aud=TEXT] [sub=TEXT]
// [issued=DURATION] [life=DURATION], where issued counts from now.
func idToken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: idtoken VARIABLE [aud=TEXT] [sub=TEXT] [issued=DURATION] [life=DURATION]")
	}
	claims := gitlabtest.Claims{Audience: []string{"https://aws"}, Issued: time.Now()}
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "aud":
			claims.Audience = []string{value}
		case "sub":
			claims.Subject = value
		case "issued", "life":
			length, err := time.ParseDuration(value)
			ts.Check(err)
			if name == "issued" {
				claims.Issued = claims.Issued.Add(length)
			} else {
				claims.Life = length
			}
		default:
			ts.Fatalf("idtoken: unknown claim %s", name)
		}
	}
	token, err := ts.Value("issuer").(*issuers).Token(claims)
	ts.Check(err)
	keepSecret(ts, false, []string{args[0], token})
}

// keepSecret sets a variable to a text that no output may show: secret VARIABLE TEXT.
func keepSecret(ts *testscript.TestScript, _ bool, args []string) {
	secrets := filepath.Join(ts.Getenv("WORK"), ".secrets")
	kept, _ := os.ReadFile(secrets) // there is none before the first
	ts.Check(os.WriteFile(secrets, append(kept, args[1]+"\n"...), 0o600))
	ts.Setenv(args[0], args[1])
}

// unseen wants no secret that a script was given in the last program's output,
// nor in a file below the folders named: unseen [FOLDER…].
func unseen(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: unseen [FOLDER…]")
	}
	texts := map[string]string{"stdout": ts.ReadFile("stdout"), "stderr": ts.ReadFile("stderr")}
	for _, folder := range args {
		ts.Check(filepath.WalkDir(ts.MkAbs(folder), func(path string, entry os.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			texts[path] = string(text)
			return err
		}))
	}
	secrets := strings.Fields(ts.ReadFile(filepath.Join(ts.Getenv("WORK"), ".secrets")))
	for where, text := range texts {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				ts.Fatalf("%s holds a secret", where)
			}
		}
	}
}

// expandFile replaces $NAMES of variables in a file: expand FROM TO.
func expandFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: expand FROM TO")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// TestBoto3AssumesRoles lets boto3 sign in with tokens, as any job may.
func TestBoto3AssumesRoles(t *testing.T) {
	issuer := gitlabtest.StartIssuer(t)
	trust := filepath.Join(t.TempDir(), "trust.json")
	if err := os.WriteFile(trust, []byte(fmt.Sprintf(trustFile, issuer.URL, strings.TrimPrefix(issuer.URL, "http://"))), 0o600); err != nil {
		t.Fatal(err)
	}
	cloud, err := localcloud.Start(t.Context(), localcloud.Options{Dir: t.TempDir(), Trust: trust})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close(context.Background()) })
	cmd := exec.Command(clientTool(t, "python3"), filepath.Join("testdata", "roles.py"))
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "PYTHONDONTWRITEBYTECODE=1", "NO_PROXY=*", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ENDPOINT_URL=" + cloud.URL(), "AWS_ACCESS_KEY_ID=towline", "AWS_SECRET_ACCESS_KEY=local", "AWS_DEFAULT_REGION=us-east-1",
	}
	for name, claims := range map[string]gitlabtest.Claims{
		"GOOD": {}, "BRANCH": {Subject: "project_path:group/tiny:ref_type:branch:ref:feature"},
		"AUDIENCE": {Audience: []string{"https://vault"}}, "LATE": {Issued: time.Now().Add(-time.Hour), Life: 5 * time.Minute},
	} {
		if claims.Audience == nil {
			claims.Audience = []string{"https://aws"}
		}
		if claims.Issued.IsZero() {
			claims.Issued = time.Now()
		}
		token, err := issuer.Token(claims)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, "TOKEN_"+name+"="+token)
	}
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "assumed\nrefused\nchained\nfrom a file" {
		t.Fatalf("roles.py: %v\n%s", err, out)
	}
}

// trustFile takes the issuer's address, and its name.
const trustFile = `{
  "providers": [{"url": "%[1]s", "account": "111111111111", "client_ids": ["https://aws"]}],
  "roles": [
    {"arn": "arn:aws:iam::111111111111:role/towline", "trust": {"Version": "2012-10-17", "Statement": [{
      "Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::111111111111:oidc-provider/%[2]s"},
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {"StringEquals": {"%[2]s:aud": "https://aws"},
        "StringLike": {"%[2]s:sub": "project_path:group/*:ref_type:branch:ref:main"}}}]}},
    {"arn": "arn:aws:iam::222222222222:role/deploy", "trust": {"Version": "2012-10-17", "Statement": [{
      "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:role/towline"},
      "Action": ["sts:AssumeRole", "sts:TagSession"]}]}}
  ]}`
