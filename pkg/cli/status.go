package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

func newStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show where each model's release is, and what serves",
		Long: "Show the release in this folder and the release that the endpoint serves.\n" +
			"A local cloud that does not run is not started: its endpoints show as stopped.",
		Example: "  towline status\n  towline status --target aws --env prod --output json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runStatus(cmd.Context()) },
	}
}

// modelStatus is what is known of one model.
type modelStatus struct {
	Model    string         `json:"model"`
	Release  *record.Record `json:"release,omitempty"` // in this folder
	Endpoint endpointStatus `json:"endpoint"`
}

type endpointStatus struct {
	Name     string `json:"name"`
	Status   string `json:"status"`
	Config   string `json:"config,omitempty"`
	Version  string `json:"version,omitempty"`
	Identity string `json:"identity,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

func (a *app) runStatus(ctx context.Context) error {
	// Read.
	repo, d, models, err := a.survey()
	if err != nil {
		return err
	}
	w, err := a.reach(ctx, repo, d)
	if err != nil {
		return err
	}
	var all []modelStatus
	for _, model := range models {
		s := modelStatus{Model: model.Name}
		if rec, ok := repo.workspace.LoadRecord(repo.manifest, model.Name); ok {
			s.Release = &rec
		}
		s.Endpoint.Name = plan.EndpointName(repo.manifest.Project, model.Name, d.name)
		if err := s.Endpoint.read(ctx, w); err != nil {
			return err
		}
		all = append(all, s)
	}

	// Tell.
	if a.output == "json" {
		return a.printJSON(map[string]any{"environment": d.name, "models": all})
	}
	return printStatus(a.stdout, all)
}

// reach connects without starting anything; nil where nothing runs.
func (a *app) reach(ctx context.Context, repo repository, d destination) (*world, error) {
	if d.local {
		return a.joinLocal(ctx, repo.workspace, a.teller())
	}
	return a.connectAWS(ctx, d, a.teller())
}

func (e *endpointStatus) read(ctx context.Context, w *world) error {
	if w == nil {
		e.Status = "stopped: no local cloud runs (towline local up --detach)"
		return nil
	}
	state, found, err := w.cloud.Endpoint(ctx, e.Name)
	if err != nil {
		return err
	}
	if !found {
		e.Status = "none"
		return nil
	}
	e.Status, e.Config, e.Reason = state.Status, state.Config, state.Failure
	serving, _, err := w.cloud.Champion(ctx, e.Name)
	e.Version, e.Identity = serving.Version, serving.Identity
	return err
}

func printStatus(w io.Writer, all []modelStatus) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for i, s := range all {
		if i > 0 {
			fmt.Fprintln(table)
		}
		fmt.Fprintf(table, "%s\n", s.Model)
		fmt.Fprintf(table, "  endpoint\t%s\n  state\t%s\n", s.Endpoint.Name, s.Endpoint.Status)
		row(table, "serves", s.Endpoint.Version)
		row(table, "trouble", s.Endpoint.Reason)
		if s.Release == nil {
			fmt.Fprintf(table, "  here\tno release yet (towline run)\n")
			continue
		}
		fmt.Fprintf(table, "  here\t%s\n", s.Release.Name())
		row(table, "image", imageText(s.Release.Image))
		if t := s.Release.Training; t != nil {
			row(table, "training", t.Job)
		}
		if v := s.Release.Verdict; v != nil {
			row(table, "verdict", map[bool]string{true: "passed", false: "refused"}[v.Passed])
		}
	}
	return table.Flush()
}

func row(w io.Writer, name, value string) {
	if value != "" {
		fmt.Fprintf(w, "  %s\t%s\n", name, value)
	}
}

func imageText(image *record.Image) string {
	switch {
	case image == nil:
		return ""
	case image.Repository == "":
		return image.Digest + " (not pushed)"
	}
	return image.Repository + "@" + image.Digest
}
