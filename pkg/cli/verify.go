package cli

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/evidence"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud"
	"gitlab.com/towline/towline/pkg/plan"
)

type verifyOptions struct {
	key     string
	source  string
	commit  string
	require []string
}

func newVerify(a *app) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify [IMAGE]",
		Short: "Check an image and the evidence beside it",
		Long: "Read an image whole and hold every part of it against its digest: manifest,\n" +
			"configuration and each layer. Then hold the evidence beside it against the image:\n" +
			"bill of materials, provenance, and with --key the signature. IMAGE is\n" +
			"HOST/REPOSITORY@sha256:…, HOST/REPOSITORY:TAG or oci:FOLDER; without it, it is the\n" +
			"image of the model in this repository. A check that does not hold is exit code 3,\n" +
			"evidence that is missing and asked for is 5.",
		Example: "  towline verify\n  towline verify registry.example.com/shop/url-risk:1.2.3 --key key.pub\n" +
			"  towline verify oci:.towline/image --output json",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runVerify(cmd.Context(), a, o, strings.Join(args, ""))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.key, "key", "", "public key in PEM that must have signed the provenance: a file or env:NAME")
	flags.StringVar(&o.source, "source", "", "repository that the provenance must name")
	flags.StringVar(&o.commit, "commit", "", "commit that the provenance must name, without changes to it: at least seven digits")
	flags.StringSliceVar(&o.require, "require", nil, "evidence that must be there: sbom, provenance, signature")
	return cmd
}

func runVerify(ctx context.Context, a *app, o verifyOptions, image string) error {
	// Read.
	v, required, err := a.verification(o)
	if err != nil {
		return err
	}
	b, finish, err := a.imageToVerify(ctx, image, &v)
	if err != nil {
		return err
	}
	defer finish()

	// Decide.
	report, err := b.Verify(ctx, v)
	if err != nil {
		return err
	}

	// Tell.
	if err := a.tellChecks(report); err != nil {
		return err
	}
	return report.Err(required)
}

// verification is what the flags ask for. A key asks for a signature and for
// the provenance that it signs.
func (a *app) verification(o verifyOptions) (v bundle.Verification, required []string, err error) {
	required = o.require
	for _, name := range required {
		switch name {
		case evidence.CheckSBOM, evidence.CheckProvenance, evidence.CheckSignature:
		default:
			return v, nil, fault.Newf(fault.Usage, "--require %s: wanted %s, %s or %s", name,
				evidence.CheckSBOM, evidence.CheckProvenance, evidence.CheckSignature)
		}
	}
	v.Wanted.Repository, v.Wanted.Commit = o.source, strings.ToLower(o.commit)
	if o.commit != "" && !isCommit(v.Wanted.Commit) {
		return v, nil, fault.Newf(fault.Usage, "--commit %s: wanted 7 to 64 hexadecimal digits", o.commit)
	}
	if o.source != "" || o.commit != "" {
		required = append(required, evidence.CheckProvenance)
	}
	if o.key == "" {
		return v, required, nil
	}
	text, err := a.keyText(o.key)
	if err != nil {
		return v, nil, err
	}
	if v.Wanted.Key, err = evidence.ParsePublicKey([]byte(text.Reveal())); err != nil {
		return v, nil, fault.Newf(fault.Usage, "--key %s: %w", o.key, err).
			Hintf("get it from the private key: openssl pkey -in key.pem -pubout -out key.pub")
	}
	return v, append(required, evidence.CheckSignature, evidence.CheckProvenance), nil
}

// isCommit says whether a text is a commit's hash, or the beginning of one.
func isCommit(text string) bool {
	const shortest, longest = 7, 64
	return len(text) >= shortest && len(text) <= longest && strings.Trim(text, "0123456789abcdef") == ""
}

// imageToVerify finds the image, and what reads it.
func (a *app) imageToVerify(ctx context.Context, image string, v *bundle.Verification) (*bundle.Bundler, func(), error) {
	v.Image = image
	host, _, _ := strings.Cut(image, "/")
	if image != "" && host != localcloud.Registry {
		b, err := a.anyBundler()
		return b, func() {}, err
	}
	o, err := a.open(ctx, a.teller())
	if err != nil {
		return nil, nil, err
	}
	if image == "" {
		if err := o.ownImage(a, v); err != nil {
			o.close()
			return nil, nil, err
		}
	}
	return o.world.bundler, o.close, nil
}

// ownImage is the image in the record of the model, in the registry or, before
// the push, on disk; its provenance must name the record's repository and identity.
func (o opened) ownImage(a *app, v *bundle.Verification) error {
	model, err := a.oneModel(o.manifest)
	if err != nil {
		return err
	}
	rec, err := o.workspace.ReadRecord(o.manifest, model.Name)
	if err != nil {
		return err
	}
	if rec.Image == nil {
		return notYet("verify", plan.Release{Model: model, Record: rec}, "it is not packaged", "towline package")
	}
	v.Wanted.Identity = rec.Identity
	if v.Wanted.Repository == "" {
		v.Wanted.Repository = rec.Source.Repository
	}
	v.Image = rec.Image.Repository + "@" + rec.Image.Digest
	if rec.Image.Repository == "" {
		v.Image = "oci:" + o.workspace.Image(o.manifest, model.Name)
	}
	return nil
}

// anyBundler reads any registry: one of ECR with the account's credentials,
// others with those of the job, and of Docker's and Podman's files.
func (a *app) anyBundler() (*bundle.Bundler, error) {
	t := a.teller()
	cache, err := a.cache()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var ecr credentials
	login := func(ctx context.Context, host string) (bundle.Login, error) {
		region := cloud.ECRRegion(host)
		if region == "" {
			return bundle.Login{}, nil
		}
		mu.Lock()
		defer mu.Unlock()
		if ecr == nil {
			c, err := cloud.New(ctx, cloud.Config{Region: region, Session: a.sessionName(), Now: a.now})
			if err != nil {
				return bundle.Login{}, err
			}
			ecr = registryLogin(c, a.now)
		}
		return ecr(ctx, host)
	}
	return bundle.New(bundle.Options{Cache: cache, Environ: a.environ, Credentials: a.jobLogin(login), Log: t.detailLine, Version: a.version}), nil
}

// tellChecks prints each check on a line of its own.
func (a *app) tellChecks(r evidence.Report) error {
	if a.output == "json" {
		return a.printJSON(r)
	}
	fmt.Fprintln(a.stdout, r.Image)
	for _, c := range r.Checks {
		fmt.Fprintf(a.stdout, "%-8s %-11s %s\n", c.Status, c.Name, c.Text)
	}
	return nil
}
