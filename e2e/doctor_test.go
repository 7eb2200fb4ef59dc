package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"gitlab.com/towline/towline/internal/gitlabtest"
)

// fakeGitLab starts a GitLab that a file describes: fakegitlab FILE VARIABLE,
// which is set to the address of its API. Tokens are known from then on as
// secrets that no output may show.
func fakeGitLab(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fakegitlab FILE VARIABLE")
	}
	var world struct {
		Projects []gitlabtest.ProjectSettings
		Tokens   map[string]gitlabtest.Credential
		Jobs     []gitlabtest.Job

		MergeRequests []gitlabtest.MergeRequest
	}
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	decoder.DisallowUnknownFields()
	ts.Check(decoder.Decode(&world))
	gitlab := gitlabtest.New("")
	for _, project := range world.Projects {
		gitlab.AddProject(project)
	}
	for token, credential := range world.Tokens {
		gitlab.AddToken(token, credential)
		keepSecret(ts, false, []string{"SECRET", token})
	}
	for _, job := range world.Jobs {
		if job.Artifacts != "" {
			job.Artifacts = ts.MkAbs(job.Artifacts)
		}
		_, err := gitlab.AddJob(job)
		ts.Check(err)
	}
	for _, request := range world.MergeRequests {
		gitlab.AddMergeRequest(request)
	}
	server := httptest.NewServer(gitlab)
	ts.Defer(server.Close)
	gitlab.API = server.URL + "/api/v4"
	ts.Setenv(args[1], gitlab.API)
	fakes.Store(gitlab.API, gitlab)
	ts.Defer(func() { fakes.Delete(server.URL + "/api/v4") })
}

// denying starts a service before another one, which denies some requests:
// denying VARIABLE ADDRESS REQUEST…, where a request is an operation of AWS such
// as DescribeModel, or a method and a part of a path such as PUT:/uploads/.
// What is meant by HANG: before a request is never answered.
func denying(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: denying VARIABLE ADDRESS REQUEST…")
	}
	to, err := url.Parse(args[1])
	ts.Check(err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch what := meant(r, args[2:]); {
		case what == "":
			proxy.ServeHTTP(w, r)
		case strings.HasPrefix(what, "HANG:"):
			<-over
		default:
			deny(w, r, what)
		}
	}))
	ts.Defer(func() {
		close(over)
		server.CloseClientConnections()
		server.Close()
	})
	ts.Setenv(args[0], server.URL)
	ts.Setenv(args[0]+"_HOST", strings.TrimPrefix(server.URL, "http://"))
}

// meant is the entry that a request is among, or "".
func meant(r *http.Request, requests []string) string {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	i := slices.IndexFunc(requests, func(entry string) bool {
		entry = strings.TrimPrefix(entry, "HANG:")
		method, path, isPath := strings.Cut(entry, ":")
		return entry == operation || isPath && method == r.Method && strings.Contains(r.URL.Path, path)
	})
	if i < 0 {
		return ""
	}
	return requests[i]
}

// deny answers as AWS does, in the form of the service.
func deny(w http.ResponseWriter, r *http.Request, what string) {
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type": "AccessDeniedException", "message": "User: somebody is not authorized to perform: %s"}`, what)
	case strings.HasPrefix(r.URL.Path, "/v2/"):
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]}`)
	default:
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		if r.Method != http.MethodHead {
			fmt.Fprint(w, `<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`)
		}
	}
}
