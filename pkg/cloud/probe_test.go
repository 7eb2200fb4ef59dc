package cloud_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/secret"
)

const scratch = "s3://bucket/shop/.towline-doctor/x"

func TestDescribing(t *testing.T) {
	f := newAmazon(t)
	v := connect(t, f.URL)
	f.endpoints["there"] = []object{{"EndpointStatus": "InService"}}
	var actions []string
	for _, kind := range cloud.Describables() {
		actions = append(actions, kind.Action)
		if there, err := v.Describe(t.Context(), kind, "none"); there || err != nil {
			t.Errorf("Describe(%s) of what is not there = %v, %v", kind.Kind, there, err)
		}
		_, op, _ := strings.Cut(kind.Action, ":")
		f.called(op, 1)
		f.refusals[op] = []refusal{{400, "AccessDeniedException", "User: me is not authorized to perform: " + kind.Action}}
		_, err := v.Describe(t.Context(), kind, "none")
		failsWith(t, err, fault.Denied, "describe "+strings.ReplaceAll(kind.Kind, "-", " ")+" none: AccessDeniedException: ")
		if want := "allow " + kind.Action + " to the role that runs towline"; fault.HintOf(err) != want {
			t.Errorf("hint %q, want %q", fault.HintOf(err), want)
		}
	}
	if diff := cmp.Diff([]string{"sagemaker:DescribeTrainingJob", "sagemaker:DescribeModel", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeEndpoint"}, actions); diff != "" {
		t.Error(diff)
	}
	kinds := cloud.Describables()
	if there, err := v.Describe(t.Context(), kinds[3], "there"); !there || err != nil {
		t.Errorf("Describe of what is there = %v, %v", there, err)
	}
}

func TestReadingLogs(t *testing.T) {
	f := newAmazon(t)
	v := connect(t, f.URL)
	for _, tt := range []struct {
		name string
		no   []refusal
		kind fault.Kind
	}{
		{"logs", nil, 0},
		{"no training has run yet", []refusal{{400, "ResourceNotFoundException", "The specified log group does not exist."}}, 0},
		{"not allowed", []refusal{{400, "AccessDeniedException", "no"}}, fault.Denied},
	} {
		f.refusals["DescribeLogStreams"] = tt.no
		if err := v.MayReadLogs(t.Context(), "job"); (err != nil) != (tt.kind != 0) || err != nil && fault.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestFindingARepository(t *testing.T) {
	f := newAmazon(t)
	v := connect(t, f.URL)
	const repository = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/risk"
	if there, err := v.HasRepository(t.Context(), repository); !there || err != nil {
		t.Errorf("HasRepository = %v, %v", there, err)
	}
	f.refusals["DescribeRepositories"] = []refusal{{400, "RepositoryNotFoundException", "none"}, {400, "AccessDeniedException", "no"}}
	if there, err := v.HasRepository(t.Context(), repository); there || err != nil {
		t.Errorf("HasRepository of none = %v, %v", there, err)
	}
	_, err := v.HasRepository(t.Context(), repository)
	failsWith(t, err, fault.Denied, "find image repository "+repository+": AccessDeniedException: no")
	_, err = v.HasRepository(t.Context(), "registry.example.com/shop/risk")
	failsWith(t, err, fault.Repository, "it is none of ECR")
}

func TestWhereABucketLies(t *testing.T) {
	for _, tt := range []struct {
		name   string
		region string
		status int // 0 for 200
		want   string
		kind   fault.Kind // 0 for none
	}{
		{"here", "eu-west-1", 0, "eu-west-1", 0},
		{"a service that does not tell", "", 0, "", 0},
		{"elsewhere", "us-east-1", 301, "us-east-1", 0},
		{"elsewhere, by a signature for here", "us-east-1", 400, "us-east-1", 0},
		{"a bad request", "eu-west-1", 400, "eu-west-1", fault.Remote},
		{"another's", "eu-west-1", 403, "eu-west-1", fault.Denied},
		{"nowhere", "", 404, "", fault.Missing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newAmazon(t)
			f.region = tt.region
			if tt.status != 0 {
				f.refusals[http.MethodHead] = []refusal{{tt.status, "x", "y"}}
			}
			got, err := connect(t, f.URL).BucketRegion(t.Context(), "bucket")
			if got != tt.want || (err == nil) != (tt.kind == 0) || err != nil && fault.KindOf(err) != tt.kind {
				t.Errorf("BucketRegion = %q, %v, want %q and kind %d", got, err, tt.want, tt.kind)
			}
		})
	}
}

func TestTryingAnObject(t *testing.T) {
	for _, tt := range []struct {
		name                string
		refused             string
		write, read, remove fault.Kind
		left                bool
	}{
		{"all may be done", "", 0, 0, 0, false},
		{"no writing", http.MethodPut, fault.Denied, 0, 0, false},
		{"no reading", http.MethodGet, 0, fault.Denied, 0, false},
		{"no removing", http.MethodDelete, 0, 0, fault.Denied, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newAmazon(t)
			f.refusals[tt.refused] = []refusal{{403, "AccessDenied", "Access Denied"}}
			trial := connect(t, f.URL).TryObject(t.Context(), scratch, "")
			for i, err := range []error{trial.Write, trial.Read, trial.Remove} {
				want := []fault.Kind{tt.write, tt.read, tt.remove}[i]
				if (err == nil) != (want == 0) || err != nil && fault.KindOf(err) != want {
					t.Errorf("step %d: %v, want kind %d", i, err, want)
				}
			}
			if left := len(f.files) > 0; left != tt.left {
				t.Errorf("left behind: %v", f.files)
			}
		})
	}
	trial := connect(t, newAmazon(t).URL).TryObject(t.Context(), "s3://bucket", "")
	failsWith(t, trial.Write, fault.Repository, "wanted an object")
}

// What was written is removed also when time is up in between.
func TestATrialThatIsCutOffLeavesNothing(t *testing.T) {
	f := newAmazon(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			cancel()
			<-r.Context().Done() // no answer is faster than that
		}
		f.ServeHTTP(w, r)
	}))
	defer server.Close()
	trial := connect(t, server.URL).TryObject(ctx, scratch, "")
	server.Close() // waits for the request that was given up
	if !errors.Is(trial.Read, context.Canceled) || trial.Remove != nil || len(f.files) > 0 {
		t.Errorf("TryObject = %+v, left %v", trial, f.files)
	}
}

func TestAnObjectThatComesBackChanged(t *testing.T) {
	f := newAmazon(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			f.mu.Lock()
			f.files["bucket/shop/.towline-doctor/x"] = []byte("something else")
			f.mu.Unlock()
		}
		f.ServeHTTP(w, r)
	}))
	defer server.Close()
	failsWith(t, connect(t, server.URL).TryObject(t.Context(), scratch, "").Read, fault.Remote, "other than those that were written")
}

func TestTheTimeAtAWS(t *testing.T) {
	f := newAmazon(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Unix(1.7e9+600, 0).UTC().Format(http.TimeFormat))
		f.ServeHTTP(w, r)
	}))
	defer server.Close()
	who, err := connect(t, server.URL).Identity(t.Context()) // whose clock stands at 1.7e9
	if err != nil || !who.Clock || who.Ahead != 10*time.Minute {
		t.Errorf("Identity = %+v, %v, want AWS 10 minutes ahead", who, err)
	}
}

func TestSigningInAlone(t *testing.T) {
	f := newAmazon(t)
	if err := connect(t, f.URL).SignIn(t.Context()); err != nil {
		t.Errorf("SignIn with keys = %v", err)
	}
	role := func() *cloud.Cloud {
		c, err := cloud.New(t.Context(), cloud.Config{
			Region: "eu-west-1", Endpoint: f.URL, AccessKey: "key", Secret: secret.New("word"), Poll: time.Millisecond, Attempts: 1,
			Role: "arn:aws:iam::123456789012:role/deploy",
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if err := role().SignIn(t.Context()); err != nil {
		t.Errorf("SignIn with a role = %v", err)
	}
	f.assume = &refusal{403, "AccessDenied", "not authorized to perform sts:AssumeRole"}
	failsWith(t, role().SignIn(t.Context()), fault.Denied, "assume the role arn:aws:iam::123456789012:role/deploy: AccessDenied")
	f.assume = &refusal{500, "InternalFailure", "sorry"}
	failsWith(t, role().SignIn(t.Context()), fault.Denied, "sign in to AWS: assume the role")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := role().SignIn(over); !errors.Is(err, context.Canceled) {
		t.Errorf("SignIn after the end = %v", err)
	}
}

func TestAttempts(t *testing.T) {
	var asked int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer server.Close()
	c, err := cloud.New(t.Context(), cloud.Config{Region: "eu-west-1", Endpoint: server.URL, AccessKey: "key", Secret: secret.New("word"), Poll: time.Millisecond, Attempts: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Identity(t.Context()); err == nil || asked != 2 {
		t.Errorf("Identity = %v after %d requests, want an error after 2", err, asked)
	}
}
