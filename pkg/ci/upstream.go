package ci

// Upstream is the job of another project whose artifacts a pipeline was
// started for, as far as the environment tells. Nothing in it is a secret.
type Upstream struct {
	Project  string // number, or path
	Pipeline string // number
	Job      string // number of the job that hands over
	Carrier  string // how it does: artifacts, package, or s3://…; "" if unknown
	Known    string // the variables it is known from, for people; "" for nothing found
}

// UpstreamFromEnv reads which job a pipeline was started for. GitLab's own
// CI_UPSTREAM_* (18.9) come first, as nobody can set them wrong, then what a
// trigger job passes on, then JOB_ID with ACCESS_TOKEN, where CI_PROJECT_ID is
// taken for the upstream project's unless UPSTREAM_PROJECT_ID is set.
func UpstreamFromEnv(getenv func(string) string) Upstream {
	read := func(name string) string {
		if value := getenv(name); len(value) <= longest && (number().MatchString(value) || path().MatchString(value)) {
			return value
		}
		return ""
	}
	passed := Upstream{
		Project: read("UPSTREAM_PROJECT_ID"), Pipeline: read("UPSTREAM_PIPELINE_ID"), Job: read("UPSTREAM_JOB_ID"),
		Carrier: getenv("UPSTREAM_CARRIER"), Known: "UPSTREAM_PROJECT_ID",
	}
	own := Upstream{Project: read("CI_UPSTREAM_PROJECT_ID"), Pipeline: read("CI_UPSTREAM_PIPELINE_ID"), Known: "CI_UPSTREAM_PROJECT_ID"}
	if own.Project != "" && own.Pipeline != "" {
		if passed.Pipeline == own.Pipeline {
			own.Job, own.Carrier = passed.Job, passed.Carrier
		}
		return own
	}
	job := read("JOB_ID")
	switch {
	case passed.Project != "" && passed.Job == "" && job != "" && getenv("ACCESS_TOKEN") != "":
		passed.Job = job
		return passed
	case passed.Project != "":
		return passed
	case Classic(getenv):
		return Upstream{Project: read("CI_PROJECT_ID"), Job: job, Known: "CI_PROJECT_ID, JOB_ID and ACCESS_TOKEN"}
	}
	return Upstream{}
}

// Classic says whether the pipeline was started with ACCESS_TOKEN, JOB_ID and
// an upstream CI_PROJECT_ID, which hides the number of the job's own project.
func Classic(getenv func(string) string) bool {
	return getenv("ACCESS_TOKEN") != "" && number().MatchString(getenv("JOB_ID")) && getenv("UPSTREAM_PROJECT_ID") == "" &&
		getenv("CI_PROJECT_ID") != ""
}
