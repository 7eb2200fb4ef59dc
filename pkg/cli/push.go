package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/release"
)

type pushOptions struct {
	dry dryRun
	to  string
}

func newPush(a *app) *cobra.Command {
	var o pushOptions
	cmd := &cobra.Command{
		Use:   "push",
		Short: "Publish the packaged image to the image registry",
		Long: "Publish the packaged image to the environment's image registry, or with --to a\n" +
			"further copy of it anywhere else: to another repository, to an OCI layout, or to\n" +
			"an archive that docker load and skopeo read. What is there is not sent again.",
		Example: "  towline push\n  towline push --target aws --env prod --dry-run\n" +
			"  towline push --to 127.0.0.1:5000/models/url-risk\n  towline push --to oci:out/image\n  towline push --to image.tar",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.to != "" {
				return runCopy(cmd.Context(), a, o)
			}
			return a.runStages(cmd.Context(), o.dry, stage{name: "push", plan: planPush})
		},
	}
	o.dry.register(cmd)
	cmd.Flags().StringVar(&o.to, "to", "", "HOST/REPOSITORY[:TAG], oci:FOLDER or FILE.tar, instead of the environment's registry; the record stays as it is")
	return cmd
}

func planPush(r plan.Release) (plan.Plan, error) {
	if err := packaged(r); err != nil {
		return nil, err
	}
	return plan.Known(r, plan.Publishing(r)), nil
}

// runCopy publishes the image on this disk once more. It needs no target.
func runCopy(ctx context.Context, a *app, o pushOptions) error {
	// Read.
	repo, err := a.repository()
	if err != nil {
		return err
	}
	unlock, err := repo.workspace.Lock(ctx, lockWait)
	if err != nil {
		return err
	}
	defer unlock()
	model, err := a.oneModel(repo.manifest)
	if err != nil {
		return err
	}
	layout := repo.workspace.Image(repo.manifest, model.Name)
	digest, ok := bundle.LayoutDigest(layout)
	if !ok {
		return fault.Newf(fault.Missing, "push %s: no image on this disk", model.Name).Hintf("run towline package first")
	}

	// Decide.
	rec, ok := repo.workspace.LoadRecord(repo.manifest, model.Name)
	if !ok || rec.Image == nil || rec.Image.Digest != digest {
		rec = record.Record{Schema: record.Schema, Project: repo.manifest.Project, Model: model.Name}
	}
	p, err := planCopy(layout, digest, rec, o.to)
	if err != nil {
		return err
	}

	// Act, and tell.
	return a.copyOut(ctx, repo, p, rec, o)
}

func (a *app) copyOut(ctx context.Context, repo repository, p plan.Plan, rec record.Record, o pushOptions) error {
	if o.dry.on {
		return a.printPlan(p, rec, destination{name: o.to}, nil)
	}
	t := a.teller()
	b, err := a.newBundler(t, nil)
	if err != nil {
		return err
	}
	c := &courier{opened: opened{repository: repo, world: &world{bundler: b}, tell: t}, rec: rec}
	if err := plan.Run(ctx, p, c, c); err != nil {
		return err
	}
	if a.output == "json" {
		return a.printJSON(result{Record: c.rec})
	}
	return nil
}

// planCopy tells from its form where a copy goes.
func planCopy(layout, digest string, rec record.Record, to string) (plan.Plan, error) {
	tag := ""
	if name := rec.Name(); name != "" {
		tag = release.OCITag(name)
	}
	folder, isFolder := strings.CutPrefix(to, "oci:")
	if !isFolder && !strings.HasSuffix(to, ".tar") {
		repository, named := splitTag(to)
		push := plan.Push{Layout: layout, Repository: repository, Digest: plan.Text(digest), Copy: true}
		if !strings.Contains(to, "/") {
			return nil, fault.Newf(fault.Usage, "--to %s: wanted HOST/REPOSITORY[:TAG], oci:FOLDER or FILE.tar", to)
		}
		if named != "" {
			tag = named
		}
		if tag != "" {
			push.Tags = []string{tag}
		}
		return plan.Plan{push}, nil
	}
	at, err := filepath.Abs(folder)
	if err != nil || folder == "" {
		return nil, fault.Newf(fault.Usage, "--to %s: no such place", to).Hintf("name a folder or file beside %s", manifest.File)
	}
	return plan.Plan{plan.Export{Layout: layout, To: at, Archive: !isFolder, Tag: tag}}, nil
}

// splitTag parts a tag from a repository, whose host may have a port.
func splitTag(to string) (repository, tag string) {
	if i := strings.LastIndex(to, ":"); i > strings.LastIndex(to, "/") {
		return to[:i], to[i+1:]
	}
	return to, ""
}
