package sagemaker

import (
	"encoding/json"
	"errors"
	"slices"

	"gitlab.com/towline/towline/pkg/localcloud/protocol"
	"gitlab.com/towline/towline/pkg/localcloud/store"
)

// Statuses of endpoints.
const (
	creating       = "Creating"
	updating       = "Updating"
	systemUpdating = "SystemUpdating"
	inService      = "InService"
	outOfService   = "OutOfService"
	deleting       = "Deleting"
)

// endpoint is an endpoint as it is kept. It holds all that it runs: models and
// configurations may be deleted meanwhile.
type endpoint struct {
	Name          string
	Tags          []tag
	Status        string
	FailureReason string
	Created       protocol.Time
	Modified      protocol.Time
	Serves        release
	Pending       *release // of an update that is under way
}

// release is a configuration with the models it names.
type release struct {
	Config   string
	Variants []variant
	Since    protocol.Time
}

type variant struct {
	Name         string
	Weight       float64
	Count        int
	InstanceType string
	Startup      int // seconds to answer /ping in; 0 for the default
	container
}

type endpointInput struct{ EndpointName string }

type endpointRequest struct {
	EndpointName       string
	EndpointConfigName string
	DeploymentConfig   json.RawMessage
	Tags               []tag
}

func (in endpointRequest) check() error {
	var c checks
	c.text("endpointName", in.EndpointName, maxName, namePattern)
	c.text("endpointConfigName", in.EndpointConfigName, maxName, namePattern)
	c.tags(in.Tags)
	return c.err()
}

// resolve reads what a configuration runs.
func (s *Service) resolve(configName string) (release, error) {
	row, err := s.config(configName)
	if err != nil {
		return release{}, err
	}
	var in endpointConfigRequest
	if err := protocol.Decode(row.Request, &in); err != nil {
		return release{}, err
	}
	r := release{Config: configName, Since: s.now()}
	for _, p := range in.ProductionVariants {
		m, err := s.model(p.ModelName)
		if err != nil {
			return release{}, err
		}
		v := variant{Name: p.VariantName, Weight: 1, Count: 1, InstanceType: p.InstanceType, container: m.container}
		if p.InitialVariantWeight != nil {
			v.Weight = *p.InitialVariantWeight
		}
		if p.InitialInstanceCount != nil {
			v.Count = *p.InitialInstanceCount
		}
		if p.ContainerStartupHealthCheckTimeoutInSeconds != nil {
			v.Startup = *p.ContainerStartupHealthCheckTimeoutInSeconds
		}
		r.Variants = append(r.Variants, v)
	}
	return r, nil
}

func (s *Service) createEndpoint(in endpointRequest) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	serves, err := s.resolve(in.EndpointConfigName)
	if err != nil {
		return nil, err
	}
	now, arn := s.now(), s.arn(kindEndpoint, in.EndpointName)
	row := endpoint{Name: in.EndpointName, Tags: in.Tags, Status: creating, Created: now, Modified: now, Serves: serves}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.endpoints.Insert(row.Name, row); errors.Is(err, store.ErrExists) {
		return nil, invalid("Cannot create already existing endpoint \"%s\".", arn)
	} else if err != nil {
		return nil, err
	}
	s.deploy(row.Name).create(serves)
	return map[string]string{"EndpointArn": arn}, nil
}

func (s *Service) endpoint(name string) (endpoint, error) {
	var c checks
	c.text("endpointName", name, maxName, namePattern)
	if err := c.err(); err != nil {
		return endpoint{}, err
	}
	row, found := s.endpoints.Get(name)
	if !found {
		return row, s.notFound("endpoint", kindEndpoint, name)
	}
	return row, nil
}

func (s *Service) describeEndpoint(in endpointInput) (any, error) {
	row, err := s.endpoint(in.EndpointName)
	if err != nil {
		return nil, err
	}
	facts := map[string]any{
		"EndpointName": row.Name, "EndpointArn": s.arn(kindEndpoint, row.Name),
		"EndpointConfigName": row.Serves.Config, "EndpointStatus": row.Status, "FailureReason": row.FailureReason,
		"CreationTime": row.Created, "LastModifiedTime": row.Modified,
	}
	if row.Status != creating && row.Status != failed {
		facts["ProductionVariants"] = row.Serves.summaries()
	}
	if row.Pending != nil {
		facts["PendingDeploymentSummary"] = map[string]any{
			"EndpointConfigName": row.Pending.Config, "StartTime": row.Pending.Since, "ProductionVariants": row.Pending.summaries(),
		}
	}
	return echo{}.with(facts), nil
}

func (r release) summaries() []any {
	list := []any{}
	for _, v := range r.Variants {
		list = append(list, map[string]any{
			"VariantName":   v.Name,
			"CurrentWeight": v.Weight, "DesiredWeight": v.Weight,
			"CurrentInstanceCount": v.Count, "DesiredInstanceCount": v.Count,
			"DeployedImages": []any{map[string]any{"SpecifiedImage": v.Image, "ResolvedImage": v.Image, "ResolutionTime": r.Since}},
		})
	}
	return list
}

// errBusy is what AWS says while an endpoint is being created or updated.
func (s *Service) errBusy(name string) error {
	return invalid("Cannot update in-progress endpoint \"%s\".", s.arn(kindEndpoint, name))
}

func (s *Service) updateEndpoint(in endpointRequest) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if _, err := s.endpoint(in.EndpointName); err != nil {
		return nil, err
	}
	pending, err := s.resolve(in.EndpointConfigName)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err = s.endpoints.Update(in.EndpointName, func(row *endpoint) error {
		switch {
		case row.Status == failed:
			return invalid("Cannot update endpoint \"%s\" in status Failed: it can only be deleted.", s.arn(kindEndpoint, row.Name))
		case row.Status != inService && row.Status != outOfService:
			return s.errBusy(row.Name)
		case row.Serves.Config == pending.Config && row.Status == inService:
			return invalid("Endpoint \"%s\" already uses endpoint configuration %s: an update needs another one.", s.arn(kindEndpoint, row.Name), pending.Config)
		}
		row.Status, row.Pending, row.Modified = updating, &pending, s.now()
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.deploy(in.EndpointName).update(pending)
	return map[string]string{"EndpointArn": s.arn(kindEndpoint, in.EndpointName)}, nil
}

func (s *Service) deleteEndpoint(in endpointInput) (any, error) {
	if _, err := s.endpoint(in.EndpointName); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.endpoints.Update(in.EndpointName, func(row *endpoint) error {
		if !slices.Contains([]string{inService, outOfService, failed}, row.Status) {
			return s.errBusy(row.Name)
		}
		row.Status, row.Modified = deleting, s.now()
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.deploy(in.EndpointName).remove()
	return nil, nil
}

func (s *Service) listEndpoints(in listQuery) (any, error) {
	var c checks
	c.oneOf("statusEquals", in.StatusEquals, outOfService, creating, updating, systemUpdating, "RollingBack", inService, deleting, failed, "UpdateRollbackFailed")
	if err := c.err(); err != nil {
		return nil, err
	}
	var all []listed
	for _, row := range s.endpoints.All() {
		all = append(all, listed{row.Name, row.Status, row.Created, row.Modified, map[string]any{
			"EndpointName": row.Name, "EndpointArn": s.arn(kindEndpoint, row.Name), "EndpointStatus": row.Status,
			"CreationTime": row.Created, "LastModifiedTime": row.Modified,
		}})
	}
	summaries, next, err := in.page(all, descending, byName, byCreation, byStatus)
	if err != nil {
		return nil, err
	}
	return answerList("Endpoints", summaries, next), nil
}
