package ci_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/towline/towline/pkg/ci"
)

func variables() map[string]string {
	return map[string]string{
		"GITLAB_CI": "true", "CI_SERVER_URL": "https://gitlab.example.com", "CI_SERVER_VERSION": "17.11.2-ee",
		"CI_API_V4_URL": "https://gitlab.example.com/api/v4",
		"CI_PROJECT_ID": "42", "CI_PROJECT_PATH": "fraud/models/url-risk", "CI_PROJECT_URL": "https://gitlab.example.com/fraud/models/url-risk",
		"CI_PIPELINE_ID": "1001", "CI_PIPELINE_IID": "7", "CI_PIPELINE_URL": "https://gitlab.example.com/fraud/models/url-risk/-/pipelines/1001",
		"CI_PIPELINE_SOURCE": "merge_request_event",
		"CI_JOB_ID":          "2002", "CI_JOB_NAME": "train: [gpu]", "CI_JOB_URL": "https://gitlab.example.com/fraud/models/url-risk/-/jobs/2002",
		"CI_COMMIT_SHA": strings.Repeat("a", 40), "CI_COMMIT_REF_NAME": "feature/x", "CI_COMMIT_TAG": "v1.2.3",
		"CI_DEFAULT_BRANCH": "main", "CI_MERGE_REQUEST_IID": "3",
		"CI_JOB_TOKEN": "glcbt-secret",
	}
}

func fromMap(m map[string]string) func(string) string {
	return func(name string) string { return m[name] }
}

func TestFromEnvReadsTheJob(t *testing.T) {
	got, ok := ci.FromEnv(fromMap(variables()))
	want := ci.Job{
		ServerURL: "https://gitlab.example.com", ServerVersion: "17.11.2-ee", APIURL: "https://gitlab.example.com/api/v4",
		ProjectID: "42", ProjectPath: "fraud/models/url-risk", ProjectURL: "https://gitlab.example.com/fraud/models/url-risk",
		PipelineID: "1001", PipelineIID: "7", PipelineURL: "https://gitlab.example.com/fraud/models/url-risk/-/pipelines/1001",
		PipelineSource: "merge_request_event",
		ID:             "2002", Name: "train: [gpu]", URL: "https://gitlab.example.com/fraud/models/url-risk/-/jobs/2002",
		Commit: strings.Repeat("a", 40), Ref: "feature/x", Tag: "v1.2.3", DefaultBranch: "main", MergeRequest: "3",
	}
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("FromEnv = %v (-want +got):\n%s", ok, diff)
	}
}

func TestFromEnvOutsideOfAJob(t *testing.T) {
	for _, value := range []string{"", "false", "1"} {
		m := variables()
		m["GITLAB_CI"] = value
		if got, ok := ci.FromEnv(fromMap(m)); ok {
			t.Errorf("FromEnv with GITLAB_CI=%q = %+v", value, got)
		}
	}
}

func TestFromEnvDropsWhatHasNotItsShape(t *testing.T) {
	for _, tt := range []struct {
		name, variable, value string
		field                 func(ci.Job) string
		want                  string
	}{
		{"a number that is none", "CI_PIPELINE_IID", "7; rm", func(j ci.Job) string { return j.PipelineIID }, ""},
		{"a number with a leading zero", "CI_JOB_ID", "07", func(j ci.Job) string { return j.ID }, ""},
		{"a short sha", "CI_COMMIT_SHA", "abc", func(j ci.Job) string { return j.Commit }, ""},
		{"a branch of two lines", "CI_COMMIT_REF_NAME", "a\nb", func(j ci.Job) string { return j.Ref }, ""},
		{"an address with credentials", "CI_JOB_URL", "https://u:p@gitlab.example.com/j?private_token=x#y", func(j ci.Job) string { return j.URL }, "https://gitlab.example.com/j"},
		{"an address of another kind", "CI_PIPELINE_URL", "javascript:alert(1)", func(j ci.Job) string { return j.PipelineURL }, ""},
		{"a path that climbs out", "CI_PROJECT_PATH", "/etc/passwd", func(j ci.Job) string { return j.ProjectPath }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := variables()
			m[tt.variable] = tt.value
			job, ok := ci.FromEnv(fromMap(m))
			if got := tt.field(job); !ok || got != tt.want {
				t.Errorf("%s=%q is read as %q, want %q", tt.variable, tt.value, got, tt.want)
			}
		})
	}
}

func TestSectionsAreMarkedAsGitLabReadsThem(t *testing.T) {
	at := time.Unix(1700000000, 5)
	for _, tt := range []struct{ got, want string }{
		{ci.SectionStart(at, "train url-risk", "Train\n url-risk"), "\x1b[0Ksection_start:1700000000:train_url-risk\r\x1b[0KTrain  url-risk\n"},
		{ci.FoldedSectionStart(at, "log[x]", "Log"), "\x1b[0Ksection_start:1700000000:log_x_[collapsed=true]\r\x1b[0KLog\n"},
		{ci.SectionEnd(at, "train url-risk"), "\x1b[0Ksection_end:1700000000:train_url-risk\r\x1b[0K\n"},
	} {
		if tt.got != tt.want {
			t.Errorf("mark %q, want %q", tt.got, tt.want)
		}
	}
}
