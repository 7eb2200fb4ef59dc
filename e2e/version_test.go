package e2e_test

import (
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"gitlab.com/towline/towline/pkg/record"
)

// verdict writes into a record what training and gate would have: verdict
// passed|refused FILE.
func verdict(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: verdict passed|refused FILE")
	}
	rec, err := record.Unmarshal([]byte(ts.ReadFile(args[1])))
	ts.Check(err)
	rec.Training = &record.Training{Job: "job", ModelData: "s3://bucket/model.tar.gz"}
	rec.Verdict = &record.Verdict{Passed: args[0] == "passed", Checks: []record.Check{}}
	body, err := record.Marshal(rec)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), body, 0o644))
}

// job sets the variables of a GitLab job: job BRANCH [MERGE-REQUEST].
func job(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: job BRANCH [MERGE-REQUEST]")
	}
	for name, value := range map[string]string{
		"GITLAB_CI": "true", "CI_JOB_ID": "7", "CI_PIPELINE_ID": "8", "CI_PIPELINE_IID": "57",
		"CI_PIPELINE_URL": "https://gitlab.example.com/group/tiny/-/pipelines/8",
		"CI_PROJECT_ID":   "42", "CI_PROJECT_PATH": "group/tiny",
		"CI_DEFAULT_BRANCH": "main", "CI_COMMIT_REF_NAME": args[0], "CI_MERGE_REQUEST_IID": "",
		"GITLAB_USER_NAME": "A. User", "GITLAB_USER_EMAIL": "user@example.com", "TOWLINE_TARGET": "local",
	} {
		ts.Setenv(name, value)
	}
	if len(args) == 2 {
		ts.Setenv("CI_MERGE_REQUEST_IID", args[1])
	}
}

// gitEnvironment makes commits the same in every run.
func gitEnvironment(env *testscript.Env) {
	for name, value := range map[string]string{
		"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_AUTHOR_DATE": "1700000000 +0000",
		"GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.com", "GIT_COMMITTER_DATE": "1700000000 +0000",
		"GIT_CONFIG_GLOBAL": filepath.Join(env.WorkDir, ".gitconfig"),
	} {
		env.Setenv(name, value)
	}
}
