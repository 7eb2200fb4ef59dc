package sagemaker

import (
	"encoding/json"
	"errors"
	"fmt"

	"gitlab.com/towline/towline/pkg/localcloud/objects"
	"gitlab.com/towline/towline/pkg/localcloud/protocol"
	"gitlab.com/towline/towline/pkg/localcloud/store"
)

// model is a model as it is kept.
type model struct {
	Name    string
	Request json.RawMessage
	Tags    []tag
	Created protocol.Time
	container
}

// container is the part of a model that runs.
type container struct {
	Image        string
	ModelDataURL string `json:"ModelDataUrl"`
	Environment  map[string]string
}

type modelRequest struct {
	ModelName        string
	ExecutionRoleArn string
	PrimaryContainer *containerRequest
	Containers       []containerRequest
	Tags             []tag
}

type containerRequest struct {
	container
	ContainerHostname string
	Mode              string
	ModelPackageName  string
	ModelDataSource   *struct {
		S3DataSource *struct {
			S3Uri           string
			S3DataType      string
			CompressionType string
		}
	}
}

func (s *Service) createModel(body []byte) (any, error) {
	var in modelRequest
	if err := protocol.Decode(body, &in); err != nil {
		return nil, err
	}
	c, err := in.check()
	if err != nil {
		return nil, err
	}
	if err := s.reachable(c); err != nil {
		return nil, err
	}
	row := model{Name: in.ModelName, Request: body, Tags: in.Tags, Created: s.now(), container: c}
	arn := s.arn(kindModel, in.ModelName)
	if err := s.models.Insert(in.ModelName, row); errors.Is(err, store.ErrExists) {
		return nil, invalid("Cannot create already existing model \"%s\".", arn)
	} else if err != nil {
		return nil, err
	}
	return map[string]string{"ModelArn": arn}, nil
}

// check gives the one container that the local cloud runs.
func (in modelRequest) check() (container, error) {
	var c checks
	c.text("modelName", in.ModelName, maxName, modelNamePattern)
	c.text("executionRoleArn", in.ExecutionRoleArn, maxRole, rolePattern)
	c.tags(in.Tags)
	list, path := in.Containers, "containers.1.member"
	if in.PrimaryContainer != nil {
		list, path = append([]containerRequest{*in.PrimaryContainer}, list...), "primaryContainer"
	}
	switch len(list) {
	case 0:
		c.present("primaryContainer", false)
		return container{}, c.err()
	case 1:
	default:
		c.fail(len(list), "containers", "the local cloud runs models of one container")
	}
	return list[0].check(&c, path), c.err()
}

func (in containerRequest) check(c *checks, path string) container {
	out := in.container
	c.text(path+".image", out.Image, maxImage, imagePattern)
	c.environment(path+".environment", out.Environment, 1024)
	c.oneOf(path+".mode", in.Mode, "SingleModel")
	c.oneOf(path+".modelPackageName", in.ModelPackageName)
	if source := in.ModelDataSource; source != nil && source.S3DataSource != nil {
		c.oneOf(path+".modelDataSource.s3DataSource.s3DataType", source.S3DataSource.S3DataType, "S3Object")
		c.oneOf(path+".modelDataSource.s3DataSource.compressionType", source.S3DataSource.CompressionType, "Gzip")
		out.ModelDataURL = source.S3DataSource.S3Uri
	}
	c.optional(path+".modelDataUrl", out.ModelDataURL, maxURI, s3Pattern)
	return out
}

// reachable looks for the image and the archive, as AWS does when a model is made.
func (s *Service) reachable(c container) error {
	image, err := s.o.Image(c.Image)
	if isNoImage(err) {
		return invalid("Requested image %s not found.", c.Image)
	}
	if err != nil {
		return err
	}
	mediaType, err := image.MediaType()
	if err != nil {
		return err
	}
	if mediaType != dockerManifest {
		return invalid("Unsupported manifest media type %s for image %s. Ensure that valid manifest media type is used for specified image.", mediaType, c.Image)
	}
	if c.ModelDataURL == "" {
		return nil
	}
	bucket, key, ok := s3URI(c.ModelDataURL)
	if !ok {
		return invalid("Could not find model data at %s.", c.ModelDataURL)
	}
	content, err := s.o.Objects.Get(bucket, key)
	if errors.Is(err, objects.ErrNoBucket) || errors.Is(err, objects.ErrNoObject) {
		return invalid("Could not find model data at %s.", c.ModelDataURL)
	}
	if err != nil {
		return err
	}
	return content.Close()
}

// dockerManifest is the one form of manifest that endpoints take.
const dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"

type modelInput struct{ ModelName string }

func (s *Service) model(name string) (model, error) {
	var c checks
	c.text("modelName", name, maxName, modelNamePattern)
	if err := c.err(); err != nil {
		return model{}, err
	}
	row, found := s.models.Get(name)
	if !found {
		return row, s.notFound("model", kindModel, name)
	}
	return row, nil
}

// notFound is what AWS says of models, endpoints and their configurations.
func (s *Service) notFound(what, kind, name string) error {
	return invalid("Could not find %s \"%s\".", what, s.arn(kind, name))
}

func (s *Service) describeModel(in modelInput) (any, error) {
	row, err := s.model(in.ModelName)
	if err != nil {
		return nil, err
	}
	request, err := echoOf(row.Request)
	if err != nil {
		return nil, err
	}
	return request.with(map[string]any{"ModelArn": s.arn(kindModel, row.Name), "CreationTime": row.Created}), nil
}

func (s *Service) deleteModel(in modelInput) (any, error) {
	if _, err := s.model(in.ModelName); err != nil {
		return nil, err
	}
	_, err := s.models.Delete(in.ModelName)
	return nil, err
}

func (s *Service) listModels(in listQuery) (any, error) {
	var all []listed
	for _, row := range s.models.All() {
		all = append(all, listed{row.Name, "", row.Created, row.Created, map[string]any{
			"ModelName": row.Name, "ModelArn": s.arn(kindModel, row.Name), "CreationTime": row.Created,
		}})
	}
	summaries, next, err := in.page(all, descending, byName, byCreation)
	if err != nil {
		return nil, err
	}
	return answerList("Models", summaries, next), nil
}

// endpointConfig is an endpoint configuration as it is kept.
type endpointConfig struct {
	Name    string
	Request json.RawMessage
	Tags    []tag
	Created protocol.Time
}

type endpointConfigRequest struct {
	EndpointConfigName       string
	ProductionVariants       []productionVariant
	ShadowProductionVariants []productionVariant
	AsyncInferenceConfig     json.RawMessage
	Tags                     []tag
}

type productionVariant struct {
	VariantName                                 string
	ModelName                                   string
	InstanceType                                string
	InitialInstanceCount                        *int
	InitialVariantWeight                        *float64
	ServerlessConfig                            json.RawMessage
	ModelDataDownloadTimeoutInSeconds           *int
	ContainerStartupHealthCheckTimeoutInSeconds *int
}

func (s *Service) createEndpointConfig(body []byte) (any, error) {
	var in endpointConfigRequest
	if err := protocol.Decode(body, &in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	for _, v := range in.ProductionVariants {
		if _, err := s.model(v.ModelName); err != nil {
			return nil, err
		}
	}
	row := endpointConfig{Name: in.EndpointConfigName, Request: body, Tags: in.Tags, Created: s.now()}
	arn := s.arn(kindConfig, row.Name)
	if err := s.configs.Insert(row.Name, row); errors.Is(err, store.ErrExists) {
		return nil, invalid("Cannot create already existing endpoint configuration \"%s\".", arn)
	} else if err != nil {
		return nil, err
	}
	return map[string]string{"EndpointConfigArn": arn}, nil
}

const maxVariants = 10

func (in endpointConfigRequest) check() error {
	var c checks
	c.text("endpointConfigName", in.EndpointConfigName, maxName, namePattern)
	c.tags(in.Tags)
	if c.present("productionVariants", in.ProductionVariants != nil) {
		c.count("productionVariants", len(in.ProductionVariants), 1, maxVariants)
	}
	if len(in.ShadowProductionVariants) > 0 {
		c.fail(len(in.ShadowProductionVariants), "shadowProductionVariants", "the local cloud has no shadow variants")
	}
	if len(in.AsyncInferenceConfig) > 0 && string(in.AsyncInferenceConfig) != "null" {
		c.fail("…", "asyncInferenceConfig", "the local cloud has no asynchronous inference")
	}
	seen := map[string]bool{}
	for i, v := range in.ProductionVariants {
		path := fmt.Sprintf("productionVariants.%d.member", i+1)
		v.check(&c, path)
		if seen[v.VariantName] {
			c.fail(v.VariantName, path+".variantName", "Member must be unique")
		}
		seen[v.VariantName] = true
	}
	return c.err()
}

func (v productionVariant) check(c *checks, path string) {
	c.text(path+".variantName", v.VariantName, maxName, namePattern)
	c.text(path+".modelName", v.ModelName, maxName, modelNamePattern)
	if len(v.ServerlessConfig) == 0 {
		c.text(path+".instanceType", v.InstanceType, maxName, instancePattern)
		c.present(path+".initialInstanceCount", v.InitialInstanceCount != nil)
	}
	c.between(path+".initialInstanceCount", v.InitialInstanceCount, 1, 1<<31-1)
	c.between(path+".modelDataDownloadTimeoutInSeconds", v.ModelDataDownloadTimeoutInSeconds, 60, 3600)
	c.between(path+".containerStartupHealthCheckTimeoutInSeconds", v.ContainerStartupHealthCheckTimeoutInSeconds, 60, 3600)
	if v.InitialVariantWeight != nil && *v.InitialVariantWeight < 0 {
		c.fail(*v.InitialVariantWeight, path+".initialVariantWeight", "Member must have value greater than or equal to 0")
	}
}

type endpointConfigInput struct{ EndpointConfigName string }

func (s *Service) config(name string) (endpointConfig, error) {
	var c checks
	c.text("endpointConfigName", name, maxName, namePattern)
	if err := c.err(); err != nil {
		return endpointConfig{}, err
	}
	row, found := s.configs.Get(name)
	if !found {
		return row, s.notFound("endpoint configuration", kindConfig, name)
	}
	return row, nil
}

func (s *Service) describeEndpointConfig(in endpointConfigInput) (any, error) {
	row, err := s.config(in.EndpointConfigName)
	if err != nil {
		return nil, err
	}
	request, err := echoOf(row.Request)
	if err != nil {
		return nil, err
	}
	return request.with(map[string]any{"EndpointConfigArn": s.arn(kindConfig, row.Name), "CreationTime": row.Created}), nil
}

// deleteEndpointConfig deletes one that is in use, too, as AWS does: an
// endpoint keeps what it runs.
func (s *Service) deleteEndpointConfig(in endpointConfigInput) (any, error) {
	if _, err := s.config(in.EndpointConfigName); err != nil {
		return nil, err
	}
	_, err := s.configs.Delete(in.EndpointConfigName)
	return nil, err
}

func (s *Service) listEndpointConfigs(in listQuery) (any, error) {
	var all []listed
	for _, row := range s.configs.All() {
		all = append(all, listed{row.Name, "", row.Created, row.Created, map[string]any{
			"EndpointConfigName": row.Name, "EndpointConfigArn": s.arn(kindConfig, row.Name), "CreationTime": row.Created,
		}})
	}
	summaries, next, err := in.page(all, descending, byName, byCreation)
	if err != nil {
		return nil, err
	}
	return answerList("EndpointConfigs", summaries, next), nil
}
