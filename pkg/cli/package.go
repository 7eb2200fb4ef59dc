package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/record"
)

type packageOptions struct {
	dry       dryRun
	format    string
	explain   bool
	baseCheck bool
	push      bool
}

func newPackage(a *app) *cobra.Command {
	var o packageOptions
	cmd := &cobra.Command{
		Use:   "package",
		Short: "Build the model's image, as an OCI layout on disk",
		Long: "Build the model's image, as an OCI layout on disk, without a daemon and without\n" +
			"root. The base image is not downloaded, weights are not copied, and layers that\n" +
			"the registry has from an earlier build are not built again.\n\n" +
			"Dependency layers are kept in the cache, below TOWLINE_CACHE, up to the size of\n" +
			"TOWLINE_CACHE_SIZE (10GB; 0 for no limit): those that were not used for longest\n" +
			"go first, those of the running command never.",
		Example: "  towline package\n  towline package --push --target aws --env prod\n  towline package --explain\n  towline package --base-check --target aws --env prod",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPackage(cmd.Context(), a, o)
		},
	}
	o.dry.register(cmd)
	cmd.Flags().StringVar(&o.format, "format", "", "docker, oci or index, and package anew; SageMaker's endpoints take docker only, the default")
	cmd.Flags().BoolVar(&o.explain, "explain", false, "show the layers, and why each was built or reused")
	cmd.Flags().BoolVar(&o.baseCheck, "base-check", false, "package nothing, and say what has become of the base image")
	cmd.Flags().BoolVar(&o.push, "push", false, "publish the image too: layers are sent while others are still being packed")
	return cmd
}

func runPackage(ctx context.Context, a *app, o packageOptions) error {
	switch o.format {
	case "", "docker", "oci", "index":
	default:
		return fault.Newf(fault.Usage, "--format %s: wanted docker, oci or index", o.format)
	}
	if o.baseCheck && (o.dry.on || o.explain || o.push || o.format != "") {
		return fault.Newf(fault.Usage, "--base-check packages nothing: it goes with no other flag of this command")
	}
	if o.baseCheck {
		return a.checkBases(ctx)
	}
	planner := plan.Packaging
	if o.push {
		planner = plan.Shipping
	}
	return a.runStages(ctx, o.dry, stage{
		name: "package", explain: o.explain, ready: o.ready,
		plan: func(r plan.Release) (plan.Plan, error) { return planner(r), nil },
	})
}

// ready adds the format, and for an index the bases of the further platforms.
func (o packageOptions) ready(ctx context.Context, at opened, r plan.Release) (plan.Release, error) {
	r.Format = o.format
	if o.format != "index" || at.local {
		return r, nil
	}
	base, err := at.base(r.Model.Image)
	if err != nil {
		return r, err
	}
	for _, platform := range r.Model.Image.Platforms {
		if platform == r.Target.Platform {
			continue
		}
		variant := plan.Variant{Base: base, Platform: platform}
		if at.world != nil {
			if variant.Base, err = at.world.bundler.ResolveBase(ctx, base, platform); err != nil {
				return r, err
			}
		}
		r.Variants = append(r.Variants, variant)
	}
	return r, nil
}

// layers are those of the image that the stage has packaged, if they are asked for.
func (o opened) layers(rec record.Record, s stage, failed error) ([]bundle.Layer, error) {
	if !s.explain || failed != nil {
		return nil, failed
	}
	layout := o.workspace.Image(o.manifest, rec.Model)
	if digest, ok := bundle.LayoutDigest(layout); !ok || rec.Image == nil || digest != rec.Image.Digest {
		o.tell.step("explain", "the image was packaged elsewhere: its layers are not on this disk")
		return nil, nil
	}
	return bundle.Explain(layout)
}

// preview is what packaging would build, if the plan is to package. The
// registry is asked where the target can be.
func (a *app) preview(ctx context.Context, o opened, p plan.Plan) ([]bundle.Layer, error) {
	var layers []bundle.Layer
	for _, action := range p {
		pack, ok := action.(plan.Package)
		if !ok {
			continue
		}
		b, repository, err := a.previewer(o, pack)
		if err != nil {
			return nil, err
		}
		found, err := b.Preview(ctx, pack, repository)
		if err != nil {
			return nil, err
		}
		layers = append(layers, found...)
	}
	return layers, nil
}

// previewer is what tells of a package, and the repository it may ask; "" for none.
func (a *app) previewer(o opened, pack plan.Package) (b *bundle.Bundler, repository string, err error) {
	if o.world == nil {
		b, err = a.newBundler(o.tell, nil)
		return b, "", err
	}
	for _, image := range pack.Reuse {
		if marked, ok := strings.CutSuffix(image, ":"+plan.Marker); ok {
			repository = marked
		}
	}
	return o.world.bundler, repository, nil
}

func (a *app) printPreview(layers []bundle.Layer) {
	for _, layer := range layers {
		size := megabytes(layer.Size)
		if layer.Size == 0 {
			size = "size unknown"
		}
		said := fmt.Sprintf("%s, %s, %s", layer.About, size, layer.How)
		switch {
		case layer.There == nil && layer.Why != "":
			said += ": " + layer.Why
		case layer.There == nil:
		case *layer.There:
			said += ": the registry has it"
		default:
			said += ": to be sent"
		}
		fmt.Fprintf(a.stdout, "    %-16s %s\n", "layer", said)
	}
}

func (a *app) printLayers(layers []bundle.Layer) {
	for _, layer := range layers {
		fmt.Fprintf(a.stdout, "%-8s %9s  %.19s  %s\n                               %s\n",
			layer.How, megabytes(layer.Size), layer.Digest, layer.About, layer.Why)
	}
}

func megabytes(n int64) string {
	if n < 100_000 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// checkBases says of each model's base what has become of it. A base without
// the Python that is asked for is a fault of the repository.
func (a *app) checkBases(ctx context.Context) error {
	t := a.teller()
	o, err := a.open(ctx, t)
	if err != nil {
		return err
	}
	defer o.close()
	models, err := a.models(o.manifest)
	if err != nil {
		return err
	}
	var checks []bundle.BaseCheck
	for _, model := range models {
		found, err := o.checkBase(ctx, model)
		if err != nil {
			return err
		}
		checks = append(checks, found...)
	}
	if a.output == "json" {
		err = a.printJSON(checks)
	} else {
		for _, check := range checks {
			a.printBase(check)
		}
	}
	for _, check := range checks {
		if check.Lacks {
			return fault.Newf(fault.Repository, "check base image %s: found Python %s, wanted %s", check.Base, check.Python, check.Wanted).
				Hintf("correct image.base or image.python in %s", manifest.File)
		}
	}
	return err
}

func (o opened) checkBase(ctx context.Context, model manifest.Model) ([]bundle.BaseCheck, error) {
	base, err := o.base(model.Image)
	if err != nil {
		return nil, err
	}
	recorded := ""
	if known, ok := o.workspace.LoadRecord(o.manifest, model.Name); ok && known.Image != nil {
		recorded = known.Image.Base
	}
	platforms := model.Image.Platforms
	if o.local {
		platforms = []string{o.platform(model.Image)}
	}
	var checks []bundle.BaseCheck
	for i, platform := range platforms {
		if i > 0 {
			recorded = "" // the record tells of the first platform's
		}
		check, err := o.world.bundler.CheckBase(ctx, base, platform, model.Image.Python, recorded)
		if err != nil {
			return nil, err
		}
		checks = append(checks, check)
	}
	return checks, nil
}

func (a *app) printBase(c bundle.BaseCheck) {
	state := "nothing to compare: no image was packaged here, and image.base has no digest"
	switch {
	case c.Now == "":
		state = "no base image"
	case c.Moved:
		state = "moved: recorded " + c.Recorded + ", now " + c.Now
	case c.Recorded != "":
		state = "as recorded: " + c.Recorded
	}
	python := "Python unknown: the base does not say which it has"
	switch {
	case c.Now == "":
		python = "Python " + c.Wanted + " is the host's"
	case c.Lacks:
		python = "Python " + c.Python + ", wanted " + c.Wanted
	case c.Python != "":
		python = "Python " + c.Python
	}
	fmt.Fprintf(a.stdout, "%s for %s\n  %s\n  %s\n", c.Base, c.Platform, state, python)
}
