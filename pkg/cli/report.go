package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/ci"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/gitlab"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/report"
)

func newReport(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "report",
		Short:   "Tell others what became of a release",
		Example: "  towline report note",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.fromFlag(newReportNote(a)))
	return cmd
}

type noteOptions struct {
	mergeRequest string
	dry          dryRun
}

func newReportNote(a *app) *cobra.Command {
	var o noteOptions
	cmd := &cobra.Command{
		Use:   "note",
		Short: "Put the report on the merge request",
		Long: "Write the report of each model as a note on the merge request: one note a model,\n" +
			"which is changed and not repeated. On the default branch it is the merge request\n" +
			"that the commit came by. A job's token cannot write notes: without\n" +
			"TOWLINE_GITLAB_TOKEN, a project token with the scope api, nothing is written, and\n" +
			"that is said. Of a merge request from a fork nothing is written either. With --from\n" +
			"it is the merge request in the project that handed the source over.",
		Example: "  towline report note\n  towline report note --merge-request 12\n  towline report note --dry-run",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runNote(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.mergeRequest, "merge-request", "", "number of the merge request, instead of the pipeline's")
	o.dry.register(cmd)
	return cmd
}

func (a *app) runNote(ctx context.Context, o noteOptions) error {
	// Read.
	repo, err := a.repository()
	if err != nil {
		return err
	}
	models, err := a.models(repo.manifest)
	if err != nil {
		return err
	}
	var records []record.Record
	for _, model := range models {
		rec, err := repo.workspace.ReadRecord(repo.manifest, model.Name)
		if err != nil {
			return err
		}
		records = append(records, rec)
	}
	job, _ := a.job()
	if repo.handed != nil {
		job = repo.handed.as(job)
	}
	client, project, why, err := a.noteProject(job, o)
	if err != nil {
		return err
	}
	if why == "" && o.mergeRequest == "" && job.MergeRequest == "" {
		if o.mergeRequest, err = client.MergedBy(ctx, job.Commit, job.Ref); err != nil {
			return err
		}
		if o.mergeRequest == "" {
			why = "commit " + start(job.Commit, 8) + " came by no merge request"
		}
	}
	if why != "" {
		a.teller().print("%-15s = skipped: %s", "note", why)
		return nil
	}

	// Decide.
	var p plan.Plan
	for _, rec := range records {
		p = append(p, plan.WriteNote{
			Model: rec.Model, Project: project, MergeRequest: or(o.mergeRequest, job.MergeRequest),
			Marker: report.NoteMarker(rec.Project, rec.Model), Body: report.Note(rec, gitlab.MostNote),
		})
	}
	if o.dry.on {
		return a.printPlan(p, records[0], destination{name: "GitLab"}, nil)
	}

	// Act, and tell.
	return plan.Run(ctx, p, doer(func(ctx context.Context, action plan.Action) (plan.Receipt, error) {
		return writeNote(ctx, client, action)
	}), a.teller())
}

func writeNote(ctx context.Context, client *gitlab.Client, action plan.Action) (plan.Receipt, error) {
	n, ok := action.(plan.WriteNote)
	if !ok {
		return plan.Receipt{}, fault.Newf(fault.Bug, "carry out %s: nobody does a %T", action.ID(), action)
	}
	done, err := client.PutNote(ctx, gitlab.Note{MergeRequest: n.MergeRequest, Marker: n.Marker, Body: n.Body})
	if err != nil {
		return plan.Receipt{}, err
	}
	return plan.Receipt{Said: fmt.Sprintf("%s on merge request !%s", done, n.MergeRequest)}, nil
}

// as is the job with what it is about: the commit that was handed over, in the
// model's project, where its merge request is.
func (h *handed) as(job ci.Job) ci.Job {
	job.ProjectID, job.ProjectPath, job.ServerURL = h.From.ProjectID, h.From.Project, h.From.Server
	job.Commit, job.Ref = h.Commit, h.Ref
	job.MergeRequest, job.MergeRequestProject, job.MergeRequestSource = "", "", ""
	return job
}

// server is the address of the job's GitLab.
func (a *app) server() string {
	job, _ := a.job()
	return job.ServerURL
}

// noteProject is the project of the merge request, or why there is no note.
func (a *app) noteProject(job ci.Job, o noteOptions) (client *gitlab.Client, project, why string, err error) {
	if o.mergeRequest != "" && !digits().MatchString(o.mergeRequest) {
		return nil, "", "", fault.Newf(fault.Usage, "--merge-request %s: wanted a number", o.mergeRequest)
	}
	project = or(job.MergeRequestProject, job.Project())
	switch {
	case project == "":
		return nil, "", "", fault.Newf(fault.Usage, "report note: this is no GitLab job").
			Hintf("run it in a pipeline: the note belongs to the pipeline's merge request")
	case job.MergeRequestSource != "" && job.MergeRequestSource != project:
		return nil, project, "the merge request comes from a fork, whose code must not use the project's token", nil
	case job.ServerURL != a.server():
		return nil, project, "the model's project lies on another GitLab", nil
	case a.getenv(gitlabToken) == "":
		return nil, project, "a job token cannot write notes: set " + gitlabToken + " to a project token with the scope api and the role Reporter", nil
	}
	client, err = a.tokenGitLab(project)
	return client, project, "", err
}
