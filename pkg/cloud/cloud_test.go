package cloud_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/secret"
)

func TestErrorsOfAWSAreClassified(t *testing.T) {
	for _, tt := range []struct {
		phrase string
		status int
		code   string
		kind   fault.Kind
		hint   string
	}{
		{"no right", 400, "AccessDeniedException", fault.Denied, "allow sagemaker:DescribeTrainingJob"},
		{"a right that a proxy refuses", 403, "SomethingNew", fault.Denied, "allow sagemaker:DescribeTrainingJob"},
		{"an unknown key", 400, "UnrecognizedClientException", fault.Denied, "AWS_ACCESS_KEY_ID"},
		{"an expired token", 400, "ExpiredTokenException", fault.Denied, "sign in again"},
		{"a wrong signature", 403, "InvalidSignatureException", fault.Denied, "AWS_ACCESS_KEY_ID"},
		{"throttling without end", 400, "ThrottlingException", fault.Remote, "in a few minutes"},
		{"a broken service", 500, "InternalFailure", fault.Remote, "run it again"},
		{"a full disk", 507, "InternalFailure", fault.Remote, "disk space"},
		{"a quota", 400, "ResourceLimitExceeded", fault.Remote, "Service Quotas"},
		{"a bad request", 400, "ValidationException", fault.Repository, "towline.yaml"},
		{"an operation that is not there", 400, "UnknownOperationException", fault.Remote, "does not offer sagemaker:DescribeTrainingJob"},
		{"another job at work", 400, "ConflictException", fault.Conflict, "another job"},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			f := newAmazon(t)
			for range 20 {
				f.refusals["DescribeTrainingJob"] = append(f.refusals["DescribeTrainingJob"], refusal{tt.status, tt.code, "so it is"})
			}
			_, _, err := connect(t, f.URL).TrainingJob(context.Background(), "job-1")
			failsWith(t, err, tt.kind, "look at training job job-1: "+tt.code+": so it is")
			if !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Errorf("hint %q, want %q in it", fault.HintOf(err), tt.hint)
			}
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := connect(t, server.URL).Identity(context.Background())
	failsWith(t, err, fault.Remote, "connection refused")
	if !strings.Contains(fault.HintOf(err), "network") {
		t.Errorf("hint %q", fault.HintOf(err))
	}
}

func TestSomethingElseAnswers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><body>welcome to the proxy</body></html>")
	}))
	defer server.Close()
	_, _, err := connect(t, server.URL).TrainingJob(context.Background(), "job-1")
	failsWith(t, err, fault.Remote, "look at training job job-1")
}

func TestDeadlineAndInterruption(t *testing.T) {
	f := newAmazon(t)
	f.onCall = func(string) { time.Sleep(30 * time.Millisecond) }
	v := connect(t, f.URL)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	_, _, err := v.TrainingJob(ctx, "job-1")
	failsWith(t, err, fault.Timeout, "look at training job job-1")
	ctx, cancel = context.WithCancel(context.Background())
	cancel()
	_, _, err = v.TrainingJob(ctx, "job-1")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the cancellation", err)
	}
}

// With fixed credentials nothing of the user's AWS environment counts.
func TestFixedCredentialsKeepTheEnvironmentOut(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config")
	if err := os.WriteFile(config, []byte("[default]\nregion = sa-east-1\nendpoint_url = http://127.0.0.1:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIAUSER", "AWS_SECRET_ACCESS_KEY": "theirs", "AWS_SESSION_TOKEN": "token",
		"AWS_REGION": "sa-east-1", "AWS_PROFILE": "none", "AWS_CONFIG_FILE": config,
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
		"AWS_ENDPOINT_URL_SAGEMAKER": "http://127.0.0.1:1", "AWS_CA_BUNDLE": filepath.Join(dir, "none"),
	} {
		t.Setenv(name, value)
	}
	f := newAmazon(t)
	var headers []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers = append(headers, r.Header.Get("Authorization")+r.Header.Get("X-Amz-Security-Token"))
		f.ServeHTTP(w, r)
	}))
	defer server.Close()
	ctx, v := context.Background(), connect(t, server.URL)
	if _, _, err := v.TrainingJob(ctx, "job-1"); err != nil {
		t.Error(err)
	}
	if err := v.SaveRecord(ctx, "s3://bucket/record", []byte("{}")); err != nil {
		t.Error(err)
	}
	if _, err := v.Identity(ctx); err != nil {
		t.Error(err)
	}
	if len(headers) != 3 {
		t.Errorf("%d requests, want 3", len(headers))
	}
	for _, h := range headers {
		if !strings.Contains(h, "Credential=key/") || !strings.Contains(h, "/eu-west-1/") || strings.Contains(h, "token") {
			t.Errorf("signed as %s", h)
		}
	}
}

func TestTheUsersOwnCredentials(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", "/nowhere")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	ctx := context.Background()
	_, err := cloud.New(ctx, cloud.Config{})
	failsWith(t, err, fault.Repository, "no region")

	f := newAmazon(t)
	none, err := cloud.New(ctx, cloud.Config{Region: "eu-west-1", Endpoint: f.URL, Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = none.Identity(ctx)
	failsWith(t, err, fault.Denied, "ask AWS who we are: no AWS credentials")
	if !strings.Contains(fault.HintOf(err), "AWS_ID_TOKEN") {
		t.Errorf("hint %q", fault.HintOf(err))
	}

	t.Setenv("AWS_ACCESS_KEY_ID", "mine")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	f.assume = &refusal{403, "AccessDenied", "not authorized to perform sts:AssumeRole"}
	other, err := cloud.New(ctx, cloud.Config{Region: "eu-west-1", Endpoint: f.URL, Poll: time.Millisecond,
		Role: "arn:aws:iam::123456789012:role/deploy", Session: "gl 12/34"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.Identity(ctx)
	failsWith(t, err, fault.Denied, "ask AWS who we are: assume the role arn:aws:iam::123456789012:role/deploy: AccessDenied")
	f.assume = nil
	if _, err := other.Identity(ctx); err != nil {
		t.Error(err)
	}
	if f.session != "gl-12-34" {
		t.Errorf("session %q", f.session)
	}
}

func TestIdentityAndRegistryToken(t *testing.T) {
	f := newAmazon(t)
	ctx, v := context.Background(), connect(t, f.URL)
	who, err := v.Identity(ctx)
	if err != nil || who.Account != "123456789012" || who.ARN != "arn:aws:iam::123456789012:user/me" {
		t.Errorf("Identity = %+v, %v", who, err)
	}
	user, password, err := v.RegistryToken(ctx, "123456789012.dkr.ecr.eu-central-1.amazonaws.com")
	if err != nil || user != "AWS" || password.Reveal() != "word" {
		t.Errorf("RegistryToken = %s, %s, %v", user, password.Reveal(), err)
	}
	_, _, err = v.RegistryToken(ctx, "registry.example.com")
	failsWith(t, err, fault.Repository, "registry.example.com")
	f.refusals["GetAuthorizationToken"] = []refusal{{400, "AccessDeniedException", "no"}}
	_, _, err = v.RegistryToken(ctx, "123456789012.dkr.ecr.eu-central-1.amazonaws.com")
	failsWith(t, err, fault.Denied, "sign in to registry")
}

func TestIsECR(t *testing.T) {
	for host, want := range map[string]bool{
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com":          true,
		"123456789012.dkr.ecr-fips.us-gov-east-1.amazonaws.com": true,
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn":      true,
		"123456789012.dkr-ecr.eu-west-1.on.aws":                 true,
		"public.ecr.aws":                                        false,
		"12.dkr.ecr.eu-west-1.amazonaws.com":                    false,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil":     false,
		"localhost:5000":                                        false,
	} {
		if got := cloud.IsECR(host); got != want {
			t.Errorf("IsECR(%s) = %v, want %v", host, got, want)
		}
	}
}

func TestInvoke(t *testing.T) {
	f := newAmazon(t)
	ctx, v := context.Background(), connect(t, f.URL)
	got, err := v.Invoke(ctx, endpoint, "text/csv", "", strings.NewReader("1,2"))
	if err != nil || string(got.Body) != "\n1,2" || got.ContentType != "text/csv" || got.Variant != "main" {
		t.Errorf("Invoke = %+v, %v", got, err)
	}
	_, err = v.Invoke(ctx, endpoint, "text/csv", "", bytes.NewReader(make([]byte, 26<<20)))
	failsWith(t, err, fault.Usage, "larger than 25 MB")
	for _, tt := range []struct {
		phrase string
		no     refusal
		kind   fault.Kind
		text   string
	}{
		{"the model's own error", refusal{424, "ModelError", `{"message":"Received server error","OriginalStatusCode":500,"OriginalMessage":"KeyError: 'age'"}`},
			fault.Model, "the model answered 500: KeyError: 'age'"},
		{"no endpoint", refusal{400, "ValidationError", `{"message":"Endpoint shop-risk-prod of account 1 not found."}`},
			fault.Missing, "there is no such endpoint"},
		{"an endpoint that does not serve", refusal{400, "ValidationError", `{"message":"Endpoint is not in service"}`},
			fault.Remote, "not in service"},
		{"no right", refusal{403, "AccessDeniedException", `{"message":"no"}`}, fault.Denied, "ask endpoint"},
	} {
		t.Run(tt.phrase, func(t *testing.T) {
			f.refusals["InvokeEndpoint"] = []refusal{tt.no}
			_, err := v.Invoke(ctx, endpoint, "text/csv", "", strings.NewReader("1,2"))
			failsWith(t, err, tt.kind, tt.text)
		})
	}
}

func TestSmoke(t *testing.T) {
	f := newAmazon(t)
	ctx, v := context.Background(), connect(t, f.URL)
	dir := folder(t, "small.json", " {\"score\": 1}\n", "large.json", strings.Repeat("ä\xff", 4000))
	got, err := v.Smoke(ctx, plan.Smoke{Endpoint: endpoint, File: filepath.Join(dir, "small.json"), ContentType: "application/json"})
	if err != nil || got.Yields["prediction"] != `{"score": 1}` || got.Said != `endpoint shop-risk-prod answered {"score": 1}` {
		t.Errorf("Smoke = %+v, %v", got, err)
	}
	got, err = v.Smoke(ctx, plan.Smoke{Endpoint: endpoint, File: filepath.Join(dir, "large.json")})
	if err != nil || !utf8.ValidString(got.Yields["prediction"]) || len(got.Yields["prediction"]) > 12<<10 || !strings.HasSuffix(got.Yields["prediction"], "…") {
		t.Errorf("Smoke of a large answer: %d bytes, %v", len(got.Yields["prediction"]), err)
	}
	_, err = v.Smoke(ctx, plan.Smoke{Endpoint: endpoint, File: filepath.Join(dir, "none.json")})
	failsWith(t, err, fault.Missing, "none.json")
}

func TestSecretsStayOutOfErrors(t *testing.T) {
	const word = "very-secret-word"
	f := newAmazon(t)
	f.refusals["DescribeTrainingJob"] = []refusal{{403, "InvalidSignatureException", "no"}}
	c, err := cloud.New(context.Background(), cloud.Config{Region: "eu-west-1", Endpoint: f.URL, AccessKey: "k", Secret: secret.New(word), Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = c.TrainingJob(context.Background(), "job-1")
	if err == nil || strings.Contains(err.Error(), word) {
		t.Errorf("error %v", err)
	}
}
