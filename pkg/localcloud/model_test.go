package localcloud_test

import (
	"archive/tar"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	ocitypes "github.com/google/go-containerregistry/pkg/v1/types"

	"gitlab.com/towline/towline/pkg/localcloud"
)

func TestModelsThatAreWrong(t *testing.T) {
	c := start(t, localcloud.Options{})
	image := c.push(t, randomImage(t))
	oci := c.push(t, mutate.MediaType(randomImage(t), ocitypes.OCIManifestSchema1))
	c.put(t, "m.tar.gz", "x")
	for _, tt := range []struct {
		name   string
		change func(*sagemaker.CreateModelInput)
		want   string
	}{
		{"a name with a dot", func(in *sagemaker.CreateModelInput) { in.ModelName = aws.String("a.b") }, "modelName"},
		{"no container", func(in *sagemaker.CreateModelInput) { in.PrimaryContainer = nil }, "primaryContainer"},
		{"an image that is not there", func(in *sagemaker.CreateModelInput) {
			in.PrimaryContainer.Image = aws.String(localcloud.Registry + "/none:1")
		}, "Requested image " + localcloud.Registry + "/none:1 not found."},
		{"an OCI manifest", func(in *sagemaker.CreateModelInput) { in.PrimaryContainer.Image = aws.String(oci) }, "Unsupported manifest media type application/vnd.oci.image.manifest.v1+json"},
		{"model data that is not there", func(in *sagemaker.CreateModelInput) {
			in.PrimaryContainer.ModelDataUrl = aws.String("s3://" + localcloud.Bucket + "/none.tar.gz")
		}, "Could not find model data at s3://towline-local/none.tar.gz."},
		{"a long variable", func(in *sagemaker.CreateModelInput) {
			in.PrimaryContainer.Environment = map[string]string{"A": strings.Repeat("x", 1025)}
		}, "environment"},
		{"two containers", func(in *sagemaker.CreateModelInput) {
			in.Containers = []types.ContainerDefinition{*in.PrimaryContainer}
		}, "containers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := &sagemaker.CreateModelInput{
				ModelName: aws.String("m"), ExecutionRoleArn: aws.String(localcloud.Role),
				PrimaryContainer: &types.ContainerDefinition{Image: aws.String(image), ModelDataUrl: aws.String("s3://" + localcloud.Bucket + "/m.tar.gz")},
			}
			tt.change(in)
			_, err := c.train.CreateModel(t.Context(), in)
			if code(err) != "ValidationException" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("CreateModel = %v, want ValidationException about %s", err, tt.want)
			}
		})
	}
	_, err := c.train.CreateEndpointConfig(t.Context(), &sagemaker.CreateEndpointConfigInput{EndpointConfigName: aws.String("c"), ProductionVariants: []types.ProductionVariant{variant("main", "none", 1)}})
	if code(err) != "ValidationException" || !strings.Contains(err.Error(), `Could not find model "arn:aws:sagemaker:us-east-1:000000000000:model/none".`) {
		t.Errorf("CreateEndpointConfig of no model = %v", err)
	}
	_, err = c.train.CreateEndpoint(t.Context(), &sagemaker.CreateEndpointInput{EndpointName: aws.String("e"), EndpointConfigName: aws.String("none")})
	if code(err) != "ValidationException" || !strings.Contains(err.Error(), `Could not find endpoint configuration "arn:aws:sagemaker:us-east-1:000000000000:endpoint-config/none".`) {
		t.Errorf("CreateEndpoint of no configuration = %v", err)
	}
}

func TestArchivesThatReachOutside(t *testing.T) {
	for _, tt := range []struct {
		name    string
		entries []*tar.Header
	}{
		{"a file above", []*tar.Header{{Name: "../../evil", Typeflag: tar.TypeReg}}},
		{"a link to elsewhere", []*tar.Header{{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc"}}},
		{"a link above", []*tar.Header{{Name: "sub/link", Typeflag: tar.TypeSymlink, Linkname: "../../x"}}},
		{"no archive", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t, localcloud.Options{Runtime: &fakeRuntime{serve: http.HandlerFunc(echoServer)}})
			c.configure(t, "one")
			content := "x"
			if tt.entries != nil {
				content = archiveOf(t, tt.entries...)
			}
			c.put(t, "model.tar.gz", content)
			c.createEndpoint(t, "e", "one")
			out := c.settled(t, "e")
			if out.EndpointStatus != types.EndpointStatusFailed || !strings.Contains(aws.ToString(out.FailureReason), "the model data") {
				t.Errorf("DescribeEndpoint = %s: %s, want Failed for its model data", out.EndpointStatus, aws.ToString(out.FailureReason))
			}
			if _, err := os.Stat(filepath.Join(c.dir, "sagemaker", "work", "evil")); err == nil {
				t.Error("a file was written outside")
			}
		})
	}
}

func TestListingModelsAndEndpoints(t *testing.T) {
	c := start(t, localcloud.Options{Runtime: &fakeRuntime{serve: http.HandlerFunc(echoServer)}})
	for _, name := range []string{"fraud-1", "fraud-2", "url-1"} {
		c.configure(t, name)
		c.createEndpoint(t, name, name)
		c.settled(t, name)
		time.Sleep(2 * time.Millisecond)
	}
	models, err := c.train.ListModels(t.Context(), &sagemaker.ListModelsInput{NameContains: aws.String("fraud")})
	if err != nil || len(models.Models) != 2 || aws.ToString(models.Models[0].ModelName) != "fraud-2" {
		t.Errorf("ListModels = %+v, %v, want fraud-2 and fraud-1", models, err)
	}
	configs, err := c.train.ListEndpointConfigs(t.Context(), &sagemaker.ListEndpointConfigsInput{MaxResults: aws.Int32(2), SortBy: types.EndpointConfigSortKeyName, SortOrder: types.OrderKeyAscending})
	if err != nil || len(configs.EndpointConfigs) != 2 || configs.NextToken == nil {
		t.Fatalf("ListEndpointConfigs = %+v, %v, want two and a token", configs, err)
	}
	if _, err := c.train.DeleteEndpointConfig(t.Context(), &sagemaker.DeleteEndpointConfigInput{EndpointConfigName: aws.String("fraud-2")}); err != nil {
		t.Fatal(err)
	}
	next, err := c.train.ListEndpointConfigs(t.Context(), &sagemaker.ListEndpointConfigsInput{MaxResults: aws.Int32(2), SortBy: types.EndpointConfigSortKeyName, SortOrder: types.OrderKeyAscending, NextToken: configs.NextToken})
	if err != nil || len(next.EndpointConfigs) != 1 || aws.ToString(next.EndpointConfigs[0].EndpointConfigName) != "url-1" {
		t.Errorf("the next page after its neighbour was deleted = %+v, %v, want url-1", next, err)
	}
	endpoints, err := c.train.ListEndpoints(t.Context(), &sagemaker.ListEndpointsInput{StatusEquals: types.EndpointStatusInService})
	if err != nil || len(endpoints.Endpoints) != 3 {
		t.Errorf("ListEndpoints = %+v, %v, want three", endpoints, err)
	}
	model, err := c.train.DescribeModel(t.Context(), &sagemaker.DescribeModelInput{ModelName: aws.String("url-1")})
	if err != nil || model.PrimaryContainer.Environment["MODEL"] != "url-1" || model.CreationTime == nil {
		t.Errorf("DescribeModel = %+v, %v", model, err)
	}
	config, err := c.train.DescribeEndpointConfig(t.Context(), &sagemaker.DescribeEndpointConfigInput{EndpointConfigName: aws.String("url-1")})
	if err != nil || len(config.ProductionVariants) != 1 {
		t.Errorf("DescribeEndpointConfig = %+v, %v", config, err)
	}
}
