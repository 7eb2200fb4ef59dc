// Command peer is an empty command line that links what towline links: the
// yardstick for its start-up.
package main

import (
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/spf13/cobra"
)

// linked keeps the linker from leaving the libraries out.
var linked = []any{
	config.LoadDefaultConfig, cloudwatchlogs.New, ecr.New, s3.New, sagemaker.New,
	sagemakerruntime.New, sts.New, registry.New, remote.Image,
}

func main() {
	cmd := &cobra.Command{
		Use:   "peer",
		Short: "An empty command line",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	if len(linked) == 0 || cmd.Execute() != nil {
		os.Exit(1)
	}
}
