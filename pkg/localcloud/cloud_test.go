package localcloud_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud"
)

func TestOneCloudInAFolder(t *testing.T) {
	c := start(t, localcloud.Options{Version: "1.2.3"})
	running, found := localcloud.Find(c.dir)
	if !found || running.URL != c.URL() || running.PID != os.Getpid() || running.Version != "1.2.3" {
		t.Errorf("Find = %+v, %v, want the cloud at %s", running, found, c.URL())
	}
	_, err := localcloud.Start(t.Context(), localcloud.Options{Dir: c.dir})
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.HintOf(err), "towline local down") {
		t.Errorf("Start of a second cloud = %v (%s), want a conflict that names towline local down", err, fault.HintOf(err))
	}
	if _, found := localcloud.Find(c.dir); !found {
		t.Error("the refused start hid the cloud that runs")
	}
	c.close(t)
	if next := start(t, localcloud.Options{Dir: c.dir}); next != nil {
		c.close(t) // a second time: the folder is another's
		if _, found := localcloud.Find(c.dir); !found {
			t.Error("a cloud that was closed twice hid the one after it")
		}
		next.close(t)
	}
	if running, found := localcloud.Find(c.dir); found {
		t.Errorf("Find after Close = %+v, want nothing", running)
	}
	if _, err := os.Stat(filepath.Join(c.dir, "cloud.json")); err == nil {
		t.Error("Close left cloud.json")
	}
}

func TestAStaleFileIsIgnored(t *testing.T) {
	c := start(t, localcloud.Options{})
	other := t.TempDir()
	stale, err := json.Marshal(localcloud.Running{URL: c.URL(), PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"the cloud of another folder": string(stale),
		"a port nobody listens on":    `{"url": "http://127.0.0.1:1", "pid": 1}`,
		"no JSON":                     `{`,
	} {
		if err := os.WriteFile(filepath.Join(other, "cloud.json"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if running, found := localcloud.Find(other); found {
			t.Errorf("%s: Find = %+v, want nothing", name, running)
		}
	}
	if c, err := localcloud.Start(t.Context(), localcloud.Options{Dir: other}); err != nil {
		t.Errorf("Start over a stale file = %v", err)
	} else if err := c.Close(t.Context()); err != nil {
		t.Errorf("Close = %v", err)
	}
}

func TestWhereACloudListens(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for _, tt := range []struct {
		name, listen string
		want         fault.Kind
	}{
		{"on every address", "0.0.0.0:0", fault.Usage},
		{"on no address", ":0", fault.Usage},
		{"on a public address", "192.0.2.1:0", fault.Usage},
		{"without a port", "127.0.0.1", fault.Usage},
		{"on a port in use", taken.Addr().String(), fault.Conflict},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			c, err := localcloud.Start(t.Context(), localcloud.Options{Dir: dir, Listen: tt.listen})
			if err == nil {
				_ = c.Close(t.Context())
			}
			if fault.KindOf(err) != tt.want || fault.HintOf(err) == "" {
				t.Errorf("Start(%s) = %v (hint %q), want kind %d and a hint", tt.listen, err, fault.HintOf(err), tt.want)
			}
			if c, err := localcloud.Start(t.Context(), localcloud.Options{Dir: dir}); err != nil {
				t.Errorf("Start after a refused one = %v", err)
			} else {
				_ = c.Close(t.Context())
			}
		})
	}
}

func TestWhoAmI(t *testing.T) {
	c := start(t, localcloud.Options{})
	out, err := c.identity.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || aws.ToString(out.Account) != localcloud.Account || aws.ToString(out.Arn) == "" {
		t.Errorf("GetCallerIdentity = %+v, %v, want account %s", out, err, localcloud.Account)
	}
	_, err = c.identity.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(localcloud.Role), RoleSessionName: aws.String("me")})
	if code(err) != "AccessDenied" {
		t.Errorf("AssumeRole = %v, want AccessDenied", err)
	}
	if _, err = c.identity.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{}); code(err) != "InvalidAction" {
		t.Errorf("GetSessionToken = %v, want InvalidAction", err)
	}
}

func TestRequestsOfOthersAreRefused(t *testing.T) {
	c := start(t, localcloud.Options{})
	port := c.URL()[strings.LastIndex(c.URL(), ":"):]
	for _, tt := range []struct {
		name, host string
		header     http.Header
		want       int
	}{
		{"a loopback address", "127.0.0.1" + port, nil, 200},
		{"localhost", "localhost" + port, nil, 200},
		{"the registry's name", localcloud.Registry, nil, 200},
		{"a name that was bound to this machine", "attacker.example" + port, nil, 403},
		{"no name", "", nil, 200},
		{"an address of the network", "192.0.2.1" + port, nil, 403},
		{"a page of another site", "127.0.0.1" + port, http.Header{"Origin": {"https://attacker.example"}}, 403},
		{"a page of another port", "127.0.0.1" + port, http.Header{"Origin": {"http://127.0.0.1:1"}}, 403},
		{"a picture on another site", "127.0.0.1" + port, http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.URL()+"/_towline/health", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = tt.host
			if tt.header != nil {
				req.Header = tt.header
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if body := read(t, resp.Body); resp.StatusCode != tt.want {
				t.Errorf("GET with host %q and %v = %d %s, want %d", tt.host, tt.header, resp.StatusCode, body, tt.want)
			}
		})
	}
}

func TestUnknownOperationsAreNeverHTML(t *testing.T) {
	c := start(t, localcloud.Options{})
	for _, tt := range []struct{ name, target, authorization, path string }{
		{"an operation that is not there", "SageMaker.CreateTransformJob", "", "/"},
		{"a service that is not there", "AmazonSSM.GetParameter", "", "/"},
		{"a service by its signature", "", "AWS4-HMAC-SHA256 Credential=towline/20260101/us-east-1/sns/aws4_request, SignedHeaders=host, Signature=0", "/"},
		{"a path of the runtime", "", "", "/endpoints/x/invocations-response-stream"},
		{"an operation of the logs", "Logs_20140328.PutLogEvents", "", "/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.URL()+tt.path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Amz-Target", tt.target)
			req.Header.Set("Authorization", tt.authorization)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body := read(t, resp.Body)
			if resp.StatusCode != 400 || resp.Header.Get("X-Amzn-Errortype") != "UnknownOperationException" || !json.Valid([]byte(body)) {
				t.Errorf("%s = %d %s, want UnknownOperationException as JSON", tt.name, resp.StatusCode, body)
			}
		})
	}
}

func TestStartingWhileAnotherIsStopping(t *testing.T) {
	fake := &fakeRuntime{train: untilStopped(t)}
	c := start(t, localcloud.Options{Runtime: fake, StopGrace: 500 * time.Millisecond})
	in := job("hangs", c.push(t, randomImage(t)))
	in.Environment = map[string]string{"DO": "hang"}
	c.create(t, in)
	eventually(t, "training", func() bool { return c.describe(t, "hangs").SecondaryStatus == types.SecondaryStatusTraining })
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = c.Close(context.Background())
	}()
	eventually(t, "the end of the cloud", func() bool {
		_, found := localcloud.Find(c.dir)
		return !found
	})
	_, task := fake.last()
	select {
	case <-task.done:
	default:
		t.Error("the cloud could no longer be found while its job still ran")
	}
	next := start(t, localcloud.Options{Dir: c.dir, Runtime: fake})
	<-closed
	if _, found := localcloud.Find(c.dir); !found {
		t.Error("the next cloud cannot be found")
	}
	next.close(t)
}
