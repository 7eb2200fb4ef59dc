package protocol_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/localcloud/protocol"
)

func TestWhichService(t *testing.T) {
	signed := func(service string) http.Header {
		return http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=towline/20260101/us-east-1/" + service + "/aws4_request, SignedHeaders=host, Signature=0"}}
	}
	for _, tt := range []struct {
		name, method, url string
		header            http.Header
		want              string
	}{
		{"by its signature", "GET", "/v2/thing", signed("s3"), protocol.S3},
		{"the control plane", "POST", "/", http.Header{"Authorization": signed("sagemaker")["Authorization"], "X-Amz-Target": {"SageMaker.ListModels"}}, protocol.SageMaker},
		{"the runtime is signed as sagemaker", "POST", "/endpoints/e/invocations", signed("sagemaker"), protocol.Runtime},
		{"by the signature in the query", "GET", "/b/k?X-Amz-Credential=towline%2F20260101%2Fus-east-1%2Fs3%2Faws4_request", nil, protocol.S3},
		{"by its target", "POST", "/", http.Header{"X-Amz-Target": {"Logs_20140328.GetLogEvents"}}, protocol.Logs},
		{"another target", "POST", "/", http.Header{"X-Amz-Target": {"AmazonSSM.GetParameter"}}, "AmazonSSM"},
		{"the registry by its path", "GET", "/v2/", nil, protocol.Registry},
		{"the runtime by its path", "POST", "/endpoints/e/invocations", nil, protocol.Runtime},
		{"a form", "POST", "/", http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}, protocol.STS},
		{"a query", "GET", "/?Action=GetCallerIdentity", nil, protocol.STS},
		{"what is left", "GET", "/bucket/key", nil, protocol.S3},
		{"a signature of another kind", "GET", "/bucket/key", http.Header{"Authorization": {"AWS towline:0"}}, protocol.S3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "http://127.0.0.1"+tt.url, nil)
			if tt.header != nil {
				r.Header = tt.header
			}
			if got := protocol.Service(r); got != tt.want {
				t.Errorf("Service(%s %s) = %s, want %s", tt.method, tt.url, got, tt.want)
			}
		})
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "[::1]": true, "localhost": true, "bucket.localhost": true,
		"0.0.0.0": false, "": false, "192.168.0.1": false, "localhost.attacker.example": false, "127.0.0.1.attacker.example": false,
	} {
		if got := protocol.Loopback(host); got != want {
			t.Errorf("Loopback(%q) = %v, want %v", host, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	moment := protocol.Time{Time: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)}
	raw, err := json.Marshal([]protocol.Time{moment, {}})
	if err != nil || string(raw) != "[1767323045.678,null]" {
		t.Errorf("Marshal = %s, %v", raw, err)
	}
	var back []protocol.Time
	if err := json.Unmarshal(raw, &back); err != nil || !back[0].Equal(moment.Time) || !back[1].IsZero() {
		t.Errorf("Unmarshal = %v, %v", back, err)
	}
}

func TestRequestsThatCannotBeRead(t *testing.T) {
	handler := protocol.JSON(func(_ string, body []byte) (any, error) {
		var in struct {
			Name  string
			Count *int
			When  *protocol.Time
		}
		return in, protocol.Decode(body, &in)
	})
	for _, tt := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"nothing", "", 200, ""},
		{"an unknown member", `{"Other": 1}`, 200, ""},
		{"a number for a text", `{"Name": 1}`, 400, "SerializationException"},
		{"a text for a number", `{"Count": "1"}`, 400, "SerializationException"},
		{"a text for a time", `{"When": "today"}`, 400, "SerializationException"},
		{"no JSON", `<xml/>`, 400, "SerializationException"},
		{"too much", strings.Repeat(" ", protocol.MaxBody+1), 413, "RequestEntityTooLargeException"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tt.body)))
			if w.Code != tt.status || w.Header().Get("X-Amzn-Errortype") != tt.code {
				t.Errorf("%s = %d %s, want %d %s", tt.name, w.Code, w.Body, tt.status, tt.code)
			}
		})
	}
}
