package cli

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/ci"
	"gitlab.com/towline/towline/pkg/doctor"
	"gitlab.com/towline/towline/pkg/fault"
)

type doctorOptions struct {
	only       []string
	offline    bool
	timeout    time.Duration
	api        string
	project    string
	upstream   string
	downstream string
}

func newDoctor(a *app) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out what is missing: tools, tokens, settings, permissions",
		Long: "Look at this machine, the repository, the GitLab job and the account in AWS, and\n" +
			"say of each thing whether it is ok, a warning, failed, or not checked and why. What\n" +
			"failed comes with the very setting to change, or the IAM statement to paste.\n\n" +
			"It changes nothing: to find out whether the bucket can be written to it writes one\n" +
			"small object below PROJECT/.towline-doctor/ and removes it; to find out whether the\n" +
			"registry takes images it begins an upload and cancels it. What cannot be found out\n" +
			"without making something is named as such. It prints no secret.\n\n" +
			"Groups: " + strings.Join(doctor.Groups(), ", ") + ". If a check failed the\n" +
			"exit code is the first of these that one asks for: 4 denied, 5 missing, 3 the\n" +
			"repository, 6 another service, 10 no answer in time.",
		Example: "  towline doctor\n  towline doctor --target aws --env prod\n  towline doctor --only gitlab --only identity --output json\n" +
			"  towline doctor --only gitlab --upstream science/url-risk --downstream platform/models",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDoctor(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.only, "only", nil, "look at this group alone; may be given several times")
	flags.BoolVar(&o.offline, "offline", false, "ask no service")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Second, "how long the answer to one question may take")
	flags.StringVar(&o.api, "api", "", "address of GitLab's API (TOWLINE_GITLAB_API, CI_API_V4_URL)")
	flags.StringVar(&o.project, "project", "", "number or path of the own project, outside of a job")
	flags.StringVar(&o.upstream, "upstream", "", "number or path of the project that hands over, instead of the one that started this pipeline")
	flags.StringVar(&o.downstream, "downstream", "", "number or path of the project that the trigger job starts a pipeline of")
	return cmd
}

func (o doctorOptions) check() error {
	for _, group := range o.only {
		if !slices.Contains(doctor.Groups(), group) {
			return fault.Newf(fault.Usage, "--only %s: wanted one of %s", group, strings.Join(doctor.Groups(), ", "))
		}
	}
	if o.timeout <= 0 {
		return fault.Newf(fault.Usage, "--timeout %s: wanted some time, such as 10s", o.timeout)
	}
	return nil
}

func (a *app) runDoctor(ctx context.Context, o doctorOptions) error {
	if err := o.check(); err != nil {
		return err
	}

	// Read.
	e := a.newExamination(ctx, o)
	facts, err := e.gather(ctx)
	if err != nil {
		return err
	}

	// Decide.
	checks := doctor.Examine(facts)

	// Tell.
	if err := a.tellChecked(checks); err != nil {
		return err
	}
	return doctor.Err(checks)
}

// examination is what the gathering of facts rests on. Each group has facts of
// its own, which nobody else writes.
type examination struct {
	a     *app
	o     doctorOptions
	job   ci.Job
	inJob bool

	repo     repository
	repoErr  error
	dest     destination
	destErr  error
	facts    doctor.Facts
	clocks   sync.Mutex
	upstream ci.Upstream
}

func (a *app) newExamination(_ context.Context, o doctorOptions) *examination {
	e := &examination{a: a, o: o, upstream: ci.UpstreamFromEnv(a.getenv)}
	e.job, e.inJob = a.job()
	if o.upstream != "" {
		e.upstream = ci.Upstream{Project: o.upstream, Known: "--upstream"}
	}
	e.repo, e.repoErr = a.repository()
	if e.repoErr == nil {
		e.dest, e.destErr = a.destination(e.repo.manifest)
	}
	e.facts = doctor.Facts{Only: o.only, Now: a.now()}
	return e
}

// gather asks everybody at once. A command line that makes no sense is an
// error; all others are facts.
func (e *examination) gather(ctx context.Context) (doctor.Facts, error) {
	if e.destErr != nil && fault.KindOf(e.destErr) == fault.Usage && (e.a.target != "" || !e.inJob) {
		return doctor.Facts{}, e.destErr
	}
	var wait sync.WaitGroup
	for group, look := range map[string]func(context.Context){
		doctor.GroupMachine: e.machine, doctor.GroupRepository: e.repository, doctor.GroupGitLab: e.gitlab,
	} {
		if e.wanted(group) {
			wait.Go(func() { look(ctx) })
		}
	}
	if e.wanted(doctor.GroupIdentity, doctor.GroupS3, doctor.GroupSageMaker, doctor.GroupRegistry) {
		wait.Go(func() { e.cloud(ctx) })
	}
	wait.Wait()
	if ctx.Err() != nil {
		return doctor.Facts{}, context.Cause(ctx)
	}
	return e.facts, nil
}

func (e *examination) wanted(groups ...string) bool {
	return len(e.o.only) == 0 || slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(e.o.only, g) })
}

// offline is why no service is asked.
const offline = "--offline: no service is asked"

// ask puts a question to a service, with a limit of its own.
func (e *examination) ask(ctx context.Context, question func(context.Context) error) doctor.Answer {
	if e.o.offline {
		return doctor.NotAsked(offline)
	}
	return e.look(ctx, question)
}

// look is ask for what is on this machine.
func (e *examination) look(ctx context.Context, question func(context.Context) error) doctor.Answer {
	ctx, cancel := context.WithTimeout(ctx, e.o.timeout)
	defer cancel()
	err := question(ctx)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fault.Newf(fault.Timeout, "no answer within %s", e.o.timeout).
			Hintf("check the network, the proxy variables and that the service is up, or allow more by --timeout")
	}
	return doctor.Answered(err)
}

// clock notes what time it is elsewhere.
func (e *examination) clock(of string, ahead time.Duration) {
	e.clocks.Lock()
	defer e.clocks.Unlock()
	e.facts.Machine.Clocks = append(e.facts.Machine.Clocks, doctor.Clock{Of: of, Ahead: ahead})
}
