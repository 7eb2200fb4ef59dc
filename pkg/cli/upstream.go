package cli

import (
	"regexp"
	"sync"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/ci"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/secret"
)

// How files go from one project to another.
const (
	byArtifacts = "artifacts"
	byPackage   = "package"
	byS3        = "s3"
)

// handoverJob is the job that hands over, if nobody names another.
const handoverJob = "handover"

// upstreamOptions say which job of another project is meant.
type upstreamOptions struct {
	project, pipeline, job, ref string
	api                         string
}

func (o *upstreamOptions) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.project, "project", "", "number or path of the upstream project, instead of the one that started this pipeline")
	flags.StringVar(&o.pipeline, "pipeline", "", "number of the upstream pipeline")
	flags.StringVar(&o.job, "job", "", "number or name of the upstream job (TOWLINE_UPSTREAM_JOB; "+handoverJob+")")
	flags.StringVar(&o.ref, "ref", "", "branch or tag: its latest pipeline that succeeded, which may be an older one")
	flags.StringVar(&o.api, "api", "", "address of GitLab's API (TOWLINE_GITLAB_API, CI_API_V4_URL)")
}

// wanted is the job whose files are meant.
type wanted struct {
	project  string
	pipeline string // number; "" if unknown
	job      string // number; "" if unknown
	name     string // of the job, where its number is not known
	ref      string // by ref only
	carrier  string // that upstream says it used; "" if unknown
	known    string // where from
}

var digits = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[1-9][0-9]{0,18}$`) })

// wanted reads flags and variables.
func (a *app) wanted(o upstreamOptions) (wanted, error) {
	u := ci.UpstreamFromEnv(a.getenv)
	w := wanted{project: u.Project, pipeline: u.Pipeline, job: u.Job, carrier: u.Carrier, known: u.Known}
	if o.project != "" {
		w = wanted{project: o.project, known: "--project"}
	}
	if o.pipeline != "" {
		if !digits().MatchString(o.pipeline) {
			return w, fault.Newf(fault.Usage, "--pipeline %s: wanted a number", o.pipeline)
		}
		w.pipeline, w.job = o.pipeline, ""
	}
	if o.ref != "" {
		w.ref, w.pipeline, w.job = o.ref, "", ""
	}
	switch name := or(o.job, a.getenv("TOWLINE_UPSTREAM_JOB")); {
	case o.job == "" && w.job != "":
	case digits().MatchString(name):
		w.job = name
	default:
		w.name, w.job = or(name, handoverJob), ""
	}
	switch {
	case w.project == "":
		return w, fault.Newf(fault.Usage, "fetch: which upstream job? no other project started this pipeline").
			Hintf("let the trigger job pass on UPSTREAM_PROJECT_ID, UPSTREAM_PIPELINE_ID and UPSTREAM_JOB_ID, " +
				"or pass --project with --job, --pipeline or --ref")
	case w.job == "" && w.pipeline == "" && w.ref == "":
		return w, fault.Newf(fault.Usage, "fetch: which job of project %s? neither its number nor its pipeline is known", w.project).
			Hintf("pass on UPSTREAM_JOB_ID or UPSTREAM_PIPELINE_ID, or pass --job NUMBER, --pipeline or --ref")
	case w.ref != "" && w.job != "":
		return w, fault.Newf(fault.Usage, "--ref %s: job %s is one job already", w.ref, w.job).Hintf("pass either --ref or the number of a job")
	}
	return w, nil
}

// String says what is meant, for people.
func (w wanted) String() string {
	text := "project " + w.project
	switch {
	case w.ref != "":
		return text + ", job " + w.name + " of the latest pipeline of " + w.ref
	case w.job != "":
		text += ", job " + w.job
	default:
		text += ", job " + w.name
	}
	if w.pipeline != "" {
		text += ", pipeline " + w.pipeline
	}
	return text
}

// upstreamGitLab is a client for the project that hands over, with the token
// that is meant for it: one that was given for that, that of whoever started
// the pipeline, or the job's.
func (a *app) upstreamGitLab(project, api string) (*gitlab.Client, error) {
	o, err := a.upstreamToken(project, api)
	if err != nil {
		return nil, err
	}
	return gitlab.New(o), nil
}

// upstreamToken is gitlabAddress with the token for the project that hands
// over. ACCESS_TOKEN is of that one, and shown to no other, least of all the own.
func (a *app) upstreamToken(project, api string) (gitlab.Options, error) {
	token := a.getenv("ACCESS_TOKEN")
	passed := token != "" && (a.getenv("JOB_ID") != "" || a.getenv("UPSTREAM_PROJECT_ID") != "")
	job, _ := a.job()
	if !passed || a.getenv(gitlabToken) != "" || project == "" || project == job.ProjectID || project == job.ProjectPath {
		return a.gitlabOptions(project, api)
	}
	o, err := a.gitlabAddress(project, api)
	o.Header, o.Token = gitlab.PrivateToken, secret.New(token)
	return o, err
}
