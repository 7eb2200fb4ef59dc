package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/secret"
)

// What becomes of the command once a pipeline or a job has been started.
const (
	strategyMirror = "mirror" // until it has ended, or waits for a person
	strategyDepend = "depend" // until it has ended
	strategyNone   = "none"
)

type triggerOptions struct {
	project, ref  string
	pipeline, job string
	variables     []string
	strategy      string
	timeout       time.Duration
	api           string
	dry           dryRun
}

func newTrigger(a *app) *cobra.Command {
	var o triggerOptions
	cmd := &cobra.Command{
		Use:   "trigger",
		Short: "Start a pipeline, or press the button of a job, and wait for it",
		Long: "Start a pipeline of a project with variables, by the trigger token in\n" +
			"TOWLINE_TRIGGER_TOKEN or by the job's own token; or, with --job, press the button of\n" +
			"a job that waits for one, by TOWLINE_GITLAB_TOKEN: a job's token cannot. Then wait\n" +
			"for it, and end as it ended. With the strategy mirror a pipeline that waits for a\n" +
			"person has done its part; with depend the command waits on.",
		Example: "  towline trigger --project platform/models --ref main --variable APPROVED=1.2.0\n" +
			"  towline trigger --pipeline 1234 --job deploy --timeout 2h\n  towline trigger --project platform/models --strategy none",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runTrigger(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.project, "project", "", "number or path of the project, instead of the job's own")
	flags.StringVar(&o.ref, "ref", "main", "branch or tag that the pipeline is for")
	flags.StringVar(&o.job, "job", "", "name of a job whose button is pressed, instead of starting a pipeline")
	flags.StringVar(&o.pipeline, "pipeline", "", "number of the pipeline that the job is in, instead of the job's own")
	flags.StringArrayVar(&o.variables, "variable", nil, "NAME=VALUE for the pipeline or job; may be given several times; never a secret (TOWLINE_TRIGGER_VARIABLES, separated by blanks)")
	flags.StringVar(&o.strategy, "strategy", strategyMirror, "mirror, depend or none")
	flags.DurationVar(&o.timeout, "timeout", time.Hour, "how long to wait")
	flags.StringVar(&o.api, "api", "", "address of GitLab's API (TOWLINE_GITLAB_API, CI_API_V4_URL)")
	o.dry.register(cmd)
	return cmd
}

func (a *app) runTrigger(ctx context.Context, o triggerOptions) error {
	// Read.
	job, _ := a.job()
	o.project = or(o.project, job.Project())
	if o.job != "" {
		o.pipeline = or(o.pipeline, job.PipelineID)
	}
	o.variables = append(strings.Fields(a.getenv("TOWLINE_TRIGGER_VARIABLES")), o.variables...)
	variables, err := o.check()
	if err != nil {
		return err
	}
	every, err := a.poll()
	if err != nil {
		return err
	}

	// Decide.
	var action plan.Action = plan.StartPipeline{Project: o.project, Ref: o.ref, Variables: variables, Strategy: o.strategy}
	if o.job != "" {
		action = plan.PlayJob{Project: o.project, Pipeline: o.pipeline, Job: o.job, Variables: variables, Strategy: o.strategy}
	}
	if o.dry.on {
		return a.printActions(plan.Plan{action}, "GitLab")
	}

	// Act, and tell.
	client, err := a.gitlabOf(o.project, o.api)
	if err != nil {
		return err
	}
	t := &triggering{app: a, client: client, options: o, tell: a.teller(), every: every}
	if t.every == 0 {
		t.every = triggerPoll
	}
	err = plan.Run(ctx, plan.Plan{action}, t, t.tell)
	if a.output == "json" && t.done.Number != "" {
		if told := a.printJSON(t.done); err == nil {
			err = told
		}
	}
	return err
}

// triggerPoll is the time between two looks at a pipeline.
const triggerPoll = 10 * time.Second

// check refuses what cannot be started, and reads the variables.
func (o triggerOptions) check() (map[string]string, error) {
	switch {
	case o.project == "":
		return nil, fault.Newf(fault.Usage, "trigger: a pipeline of which project?").Hintf("pass --project, or run it in a GitLab job")
	case o.strategy != strategyMirror && o.strategy != strategyDepend && o.strategy != strategyNone:
		return nil, fault.Newf(fault.Usage, "--strategy %s: wanted mirror, depend or none", o.strategy)
	case o.timeout <= 0:
		return nil, fault.Newf(fault.Usage, "--timeout %s: wanted some time, such as 1h", o.timeout)
	case o.job != "" && !digits().MatchString(o.pipeline):
		return nil, fault.Newf(fault.Usage, "--job %s: of which pipeline?", o.job).Hintf("pass --pipeline NUMBER")
	case o.job == "" && o.pipeline != "":
		return nil, fault.Newf(fault.Usage, "--pipeline %s: which job of it?", o.pipeline).Hintf("pass --job NAME")
	}
	variables := map[string]string{}
	for _, text := range o.variables {
		name, value, found := strings.Cut(text, "=")
		if !found || name == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return nil, fault.Newf(fault.Usage, "--variable %s: wanted NAME=VALUE", name)
		}
		variables[name] = value
	}
	return variables, nil
}

// triggering starts one pipeline or job, and waits for it.
type triggering struct {
	*app
	client  *gitlab.Client
	options triggerOptions
	tell    *teller
	every   time.Duration
	done    triggered
}

// triggered is what is told in JSON.
type triggered struct {
	Number string `json:"number"`
	What   string `json:"what"` // pipeline or job
	Status string `json:"status"`
	URL    string `json:"url"`
}

// Do starts, and waits.
func (t *triggering) Do(ctx context.Context, action plan.Action) (plan.Receipt, error) {
	var ask func(context.Context) (gitlab.Watched, error)
	switch action := action.(type) {
	case plan.StartPipeline:
		token := secret.New(or(t.getenv("TOWLINE_TRIGGER_TOKEN"), t.getenv("CI_JOB_TOKEN")))
		if token.Empty() {
			return plan.Receipt{}, fault.Newf(fault.Denied, "start a pipeline of %s: no token", action.Project).
				Hintf("set TOWLINE_TRIGGER_TOKEN to a trigger token of the project (Settings, CI/CD, Pipeline trigger tokens); in a job CI_JOB_TOKEN does")
		}
		p, err := t.client.StartPipeline(ctx, gitlab.Start{Token: token, Ref: action.Ref, Variables: action.Variables})
		if err != nil {
			return plan.Receipt{}, err
		}
		t.done = triggered{p.Number(), "pipeline", p.Status, p.URL}
		ask = func(ctx context.Context) (gitlab.Watched, error) {
			p, err := t.client.Pipeline(ctx, t.done.Number)
			return gitlab.Watched{Status: p.Status, URL: p.URL}, err
		}
	case plan.PlayJob:
		j, err := t.client.NewestJob(ctx, action.Pipeline, action.Job)
		if err == nil {
			j, err = t.client.PlayJob(ctx, j.Number(), action.Variables)
		}
		if err != nil {
			return plan.Receipt{}, err
		}
		t.done = triggered{j.Number(), "job", j.Status, j.URL}
		ask = func(ctx context.Context) (gitlab.Watched, error) {
			j, err := t.client.Job(ctx, t.done.Number)
			return gitlab.Watched{Status: j.Status, URL: j.URL}, err
		}
	default:
		return plan.Receipt{}, fault.Newf(fault.Bug, "carry out %s: nobody does a %T", action.ID(), action)
	}
	t.tell.line(fmt.Sprintf("%s %s: %s", t.done.What, t.done.Number, t.done.URL))
	return t.wait(ctx, ask)
}

// wait waits as the strategy says, and says how it ended.
func (t *triggering) wait(ctx context.Context, ask func(context.Context) (gitlab.Watched, error)) (plan.Receipt, error) {
	what := t.done.What + " " + t.done.Number
	if t.options.strategy == strategyNone {
		return plan.Receipt{Said: what + " is started"}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, t.options.timeout)
	defer cancel()
	last, err := gitlab.Await(ctx, t.every, t.options.strategy == strategyMirror, ask, func(w gitlab.Watched) { t.tell.line(what + " is " + w.Status) })
	t.done.Status = or(last.Status, t.done.Status)
	mirrored := t.options.strategy == strategyMirror && (last.Status == "manual" || last.Status == "scheduled" || last.Status == "skipped")
	switch {
	case err != nil:
		return plan.Receipt{}, err
	case last.Status == "success":
		return plan.Receipt{Said: what + " has succeeded"}, nil
	case mirrored && last.Status == "skipped":
		return plan.Receipt{Said: what + " was skipped"}, nil
	case mirrored:
		return plan.Receipt{Said: what + " waits for a person: " + last.URL}, nil
	}
	return plan.Receipt{}, fault.Newf(fault.Remote, "wait for %s of %s: it is %s", what, t.options.project, last.Status).
		Hintf("look at %s", or(last.URL, "the project's pipelines"))
}

// printActions is a dry run of a plan that is of no release.
func (a *app) printActions(p plan.Plan, where string) error {
	if a.output == "json" {
		return a.printJSON(map[string]any{"target": where, "actions": describe(p)})
	}
	for i, action := range p {
		fmt.Fprintf(a.stdout, "%2d. %s\n", i+1, action.ID())
		for _, fact := range action.Facts() {
			fmt.Fprintf(a.stdout, "    %-16s %s\n", fact.Name, fact.Value)
		}
	}
	return nil
}
