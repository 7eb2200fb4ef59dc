// Command peer is an empty cobra program that links what towline links: the
// same clients of the AWS SDK and the same parts of go-containerregistry. What
// it takes to start is the price of the libraries, which no program of this
// kind can avoid.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{Use: "peer", Short: "An empty program"}
	root.AddCommand(&cobra.Command{
		Use: "link", Short: "Keep the libraries in the program",
		RunE: func(cmd *cobra.Command, args []string) error { return link(cmd.Context(), args) },
	})
	if root.Execute() != nil {
		os.Exit(1)
	}
}

// link is never called when the start is measured.
func link(ctx context.Context, args []string) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	_, err = sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return err
	}
	_, _ = sagemaker.NewFromConfig(cfg).DescribeTrainingJob(ctx, &sagemaker.DescribeTrainingJobInput{})
	_, _ = sagemakerruntime.NewFromConfig(cfg).InvokeEndpoint(ctx, &sagemakerruntime.InvokeEndpointInput{})
	_, _ = s3.NewFromConfig(cfg).GetObject(ctx, &s3.GetObjectInput{})
	_, _ = ecr.NewFromConfig(cfg).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	_, _ = kms.NewFromConfig(cfg).Sign(ctx, &kms.SignInput{})
	_, _ = cloudwatchlogs.NewFromConfig(cfg).GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{})
	_ = registry.New()
	return copyImage(args[0], args[1])
}

func copyImage(from, to string) error {
	source, err := name.ParseReference(from)
	if err != nil {
		return err
	}
	image, err := remote.Image(source)
	if err != nil {
		return err
	}
	path, err := layout.FromPath(to)
	if err != nil {
		return err
	}
	return path.AppendImage(mutate.MediaType(image, "application/vnd.oci.image.manifest.v1+json"))
}
