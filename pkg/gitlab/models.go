package gitlab

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/fault"
)

// ModelVersion is a version of a model in GitLab's model registry.
type ModelVersion struct {
	Model       string
	Version     string // semantic
	Description string // Markdown; the identity stands in it
	Identity    string // by which it is known as the one that was to be made
	Tags        map[string]string
	Params      map[string]string
	Metrics     map[string]float64
	Job         string // number of the job that registers it
	At          time.Time
}

// Registered is a version that is in the registry.
type Registered struct {
	ID    string // number of the version
	URL   string
	Found bool // it was there already
}

// identityTag is the tag of a version that holds its identity.
const identityTag = "towline.identity"

// modelVersion is a version as GitLab tells of it, in MLflow's words.
type modelVersion struct {
	ID          string   `json:"version"` // a number, since MLflow wants one
	Run         string   `json:"run_id"`
	Source      string   `json:"source"`
	Description string   `json:"description"`
	Tags        []keyed  `json:"tags"`
	Aliases     []string `json:"aliases"`
}

type keyed struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// RegisterModel makes the version, with its metrics and parameters as those of
// its candidate. A version that is there already is adopted if it is of the
// same identity, and a conflict otherwise. What is logged twice counts once.
func (c *Client) RegisterModel(ctx context.Context, v ModelVersion) (Registered, error) {
	operation := fmt.Sprintf("register %s %s in GitLab's model registry", v.Model, v.Version)
	found, err := c.findVersion(ctx, v)
	if err != nil {
		return Registered{}, c.explain(ctx, registering, operation, err)
	}
	there := found != nil
	if there && !found.is(v) {
		return Registered{}, fault.Newf(fault.Conflict, "%s: there is such a version already, of another model", operation).
			With("it is " + found.Source).Hintf("delete it there, or release a later version")
	}
	if !there {
		if found, err = c.createVersion(ctx, v); err != nil {
			return Registered{}, c.explain(ctx, registering, operation, err)
		}
	}
	if err := c.logCandidate(ctx, found.Run, v); err != nil {
		return Registered{}, c.explain(ctx, registering, operation, err)
	}
	return Registered{ID: found.ID, URL: c.modelURL(found.Source), Found: there}, nil
}

// is says whether a version that was found is the one that was to be made. Not
// every GitLab tells of tags.
func (m *modelVersion) is(v ModelVersion) bool {
	return slices.Contains(m.Tags, keyed{identityTag, v.Identity}) || strings.Contains(m.Description, v.Identity)
}

// modelURL is the page of a version, as far as it is one of this GitLab.
func (c *Client) modelURL(source string) string {
	at, err := url.Parse(source)
	if err != nil || at.Scheme != "https" && at.Scheme != "http" || at.Host == "" {
		return ""
	}
	return at.String()
}

const mlflow = "/ml/mlflow/api/2.0/mlflow"

// findVersion is nil where there is no such version, or no such model.
func (c *Client) findVersion(ctx context.Context, v ModelVersion) (*modelVersion, error) {
	var answer struct {
		Version modelVersion `json:"model_version"`
	}
	query := url.Values{"name": {v.Model}, "version": {v.Version}}
	err := c.call(ctx, http.MethodGet, mlflow+"/model-versions/get?"+query.Encode(), nil, &answer)
	if nonexistent(err) {
		return nil, nil
	}
	return &answer.Version, err
}

// nonexistent tells what is not there from a registry that is not to be seen.
func nonexistent(err error) bool {
	return statusOf(err) == http.StatusNotFound && strings.Contains(err.Error(), "RESOURCE_DOES_NOT_EXIST")
}

// createVersion makes the version, and its model if there is none. Somebody
// else may make either at the same time.
func (c *Client) createVersion(ctx context.Context, v ModelVersion) (*modelVersion, error) {
	err := c.call(ctx, http.MethodGet, mlflow+"/registered-models/get?name="+url.QueryEscape(v.Model), nil, nil)
	if nonexistent(err) {
		err = c.call(ctx, http.MethodPost, mlflow+"/registered-models/create", map[string]string{"name": v.Model}, nil)
	}
	if err != nil && !strings.Contains(err.Error(), "RESOURCE_ALREADY_EXISTS") {
		return nil, err
	}
	tags := []keyed{{"gitlab.version", v.Version}, {identityTag, v.Identity}}
	for _, key := range sortedKeys(v.Tags) {
		tags = append(tags, keyed{key, v.Tags[key]})
	}
	var answer struct {
		Version modelVersion `json:"model_version"`
	}
	err = c.call(ctx, http.MethodPost, mlflow+"/model-versions/create", map[string]any{
		"name": v.Model, "description": v.Description, "tags": tags,
	}, &answer)
	if err == nil {
		return &answer.Version, nil
	}
	if found, look := c.findVersion(ctx, v); look == nil && found != nil && found.is(v) {
		return found, nil
	}
	return nil, err
}

// logCandidate gives the version's candidate its metrics and parameters.
func (c *Client) logCandidate(ctx context.Context, run string, v ModelVersion) error {
	type metric struct {
		Key   string  `json:"key"`
		Value float64 `json:"value"`
		At    int64   `json:"timestamp"`
		Step  int     `json:"step"`
	}
	metrics, params, tags := []metric{}, []keyed{}, []keyed{}
	for _, key := range sortedKeys(v.Metrics) {
		if value := v.Metrics[key]; !math.IsNaN(value) && !math.IsInf(value, 0) {
			metrics = append(metrics, metric{key, value, v.At.UnixMilli(), 0})
		}
	}
	for _, key := range sortedKeys(v.Params) {
		params = append(params, keyed{key, v.Params[key]})
	}
	if v.Job != "" {
		tags = append(tags, keyed{"gitlab.CI_JOB_ID", v.Job})
	}
	if run == "" || len(metrics)+len(params)+len(tags) == 0 {
		return nil
	}
	return c.call(ctx, http.MethodPost, mlflow+"/runs/log-batch", map[string]any{
		"run_id": run, "metrics": metrics, "params": params, "tags": tags,
	}, nil)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// PutModelFile adds a file to a version, unless it holds the same bytes under
// that name. The body is opened again for every attempt. It says whether the
// file was there.
func (c *Client) PutModelFile(ctx context.Context, v ModelVersion, id string, f File) (bool, error) {
	operation := fmt.Sprintf("add %s to %s %s in GitLab's model registry", f.Name, v.Model, v.Version)
	kept, err := c.packageFile(ctx, "ml_model", v.Model, v.Version, f.Name)
	if err != nil {
		return false, c.explain(ctx, storing, operation, err)
	}
	if kept == f.SHA256 {
		return true, nil
	}
	err = c.put(ctx, "/packages/ml_models/"+url.PathEscape(id)+"/files/"+url.PathEscape(f.Name), f)
	return false, c.explain(ctx, storing, operation, err)
}

// File is a file that is sent.
type File struct {
	Name   string
	Size   int64
	SHA256 string // hexadecimal
	Open   func() (io.ReadCloser, error)
}
