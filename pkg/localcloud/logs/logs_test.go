package logs_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/localcloud/logs"
)

const group, stream = "/aws/sagemaker/TrainingJobs", "job/algo-1-1"

type answer struct {
	Events []struct {
		Timestamp int64
		Message   string
	}
	NextForwardToken  string
	NextBackwardToken string
	NextToken         string
	LogStreams        []struct{ LogStreamName string }
	Type              string `json:"__type"`
}

func ask(t *testing.T, s *logs.Store, operation string, in map[string]any) answer {
	t.Helper()
	in["logGroupName"] = group
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
	r.Header.Set("X-Amz-Target", "Logs_20140328."+operation)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	var out answer
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s = %s", operation, w.Body)
	}
	return out
}

func (a answer) messages() []string {
	list := []string{}
	for _, e := range a.Events {
		list = append(list, e.Message)
	}
	return list
}

func write(t *testing.T, s *logs.Store, name string, pieces ...string) {
	t.Helper()
	out, err := s.Stream(group, name)
	if err != nil {
		t.Fatalf("Stream = %v", err)
	}
	for _, piece := range pieces {
		if n, err := out.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Errorf("Write = %d, %v, want %d", n, err, len(piece))
		}
	}
	if err := out.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
}

func TestWhatALineIs(t *testing.T) {
	long := strings.Repeat("x", 256<<10)
	for _, tt := range []struct {
		name   string
		pieces []string
		want   []string
	}{
		{"pieces of lines", []string{"on", "e\ntw", "o\n"}, []string{"one", "two"}},
		{"an empty line", []string{"\n\n"}, []string{"", ""}},
		{"a last line without an end", []string{"one\ntwo"}, []string{"one", "two"}},
		{"lines of another system", []string{"one\r\ntwo\r\n"}, []string{"one", "two"}},
		{"bytes that are no text", []string{"a\xffb\n"}, []string{"a\uFFFDb"}},
		{"a line that is too long", []string{long + "rest\n"}, []string{long, "rest"}},
		{"nothing", nil, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := logs.New(t.TempDir(), time.Now)
			write(t, s, stream, tt.pieces...)
			got := ask(t, s, "GetLogEvents", map[string]any{"logStreamName": stream, "startFromHead": true}).messages()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("GetLogEvents (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFollowingAStream(t *testing.T) {
	s := logs.New(t.TempDir(), time.Now)
	write(t, s, stream, "one\n")
	first := ask(t, s, "GetLogEvents", map[string]any{"logStreamName": stream, "startFromHead": true})
	end := ask(t, s, "GetLogEvents", map[string]any{"logStreamName": stream, "nextToken": first.NextForwardToken})
	if len(end.Events) != 0 || end.NextForwardToken != first.NextForwardToken {
		t.Errorf("at the end: %+v, want the token that was sent", end)
	}
	write(t, s, stream, "two\n")
	more := ask(t, s, "GetLogEvents", map[string]any{"logStreamName": stream, "nextToken": end.NextForwardToken})
	if diff := cmp.Diff([]string{"two"}, more.messages()); diff != "" {
		t.Errorf("after more was written (-want +got):\n%s", diff)
	}
}

func TestTimesAndLimits(t *testing.T) {
	now := time.UnixMilli(1000)
	s := logs.New(t.TempDir(), func() time.Time { now = now.Add(time.Millisecond); return now })
	for i := range 10 {
		write(t, s, stream, fmt.Sprintf("line %d\n", i))
	}
	for _, tt := range []struct {
		name string
		in   map[string]any
		want string
	}{
		{"the last three", map[string]any{"limit": 3}, "7 8 9"},
		{"the first three", map[string]any{"limit": 3, "startFromHead": true}, "0 1 2"},
		{"from a time", map[string]any{"startTime": 1009}, "8 9"},
		{"until a time", map[string]any{"endTime": 1003, "startFromHead": true}, "0 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.in["logStreamName"] = stream
			got := strings.ReplaceAll(strings.Join(ask(t, s, "GetLogEvents", tt.in).messages(), " "), "line ", "")
			if got != tt.want {
				t.Errorf("GetLogEvents = %s, want %s", got, tt.want)
			}
		})
	}
	if got := ask(t, s, "GetLogEvents", map[string]any{"logStreamName": stream, "nextToken": "x"}); got.Type != "InvalidParameterException" {
		t.Errorf("GetLogEvents with a token of nobody's = %+v", got)
	}
}

func TestStreams(t *testing.T) {
	s := logs.New(t.TempDir(), time.Now)
	if got := ask(t, s, "DescribeLogStreams", map[string]any{}); got.Type != "ResourceNotFoundException" {
		t.Errorf("DescribeLogStreams of no group = %+v", got)
	}
	for _, name := range []string{"a/1", "a/2", "b/1"} {
		write(t, s, name, name+" found\n", "other\n")
		time.Sleep(2 * time.Millisecond)
	}
	for _, tt := range []struct {
		name string
		in   map[string]any
		want string
	}{
		{"by name", map[string]any{}, "a/1 a/2 b/1"},
		{"by prefix", map[string]any{"logStreamNamePrefix": "a/"}, "a/1 a/2"},
		{"newest first", map[string]any{"orderBy": "LastEventTime", "descending": true, "limit": 2}, "b/1 a/2"},
		{"the next page", map[string]any{"nextToken": "2"}, "b/1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, d := range ask(t, s, "DescribeLogStreams", tt.in).LogStreams {
				got = append(got, d.LogStreamName)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("DescribeLogStreams = %v, want %s", got, tt.want)
			}
		})
	}
	var got []string
	in := map[string]any{"filterPattern": "found", "limit": 2}
	for {
		page := ask(t, s, "FilterLogEvents", in)
		got = append(got, page.messages()...)
		if page.NextToken == "" {
			break
		}
		in["nextToken"] = page.NextToken
	}
	if diff := cmp.Diff([]string{"a/1 found", "a/2 found", "b/1 found"}, got); diff != "" {
		t.Errorf("FilterLogEvents (-want +got):\n%s", diff)
	}
}
