package cloud_test

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/secret"
)

// amazon is a small AWS whose resources go through scripted states: each look
// at a job or an endpoint shows the next one, and the last one stays.
type amazon struct {
	*httptest.Server
	t *testing.T

	mu        sync.Mutex
	jobs      map[string][]object // by name, states to come
	requests  map[string]object   // what the jobs were created with
	models    map[string]object
	configs   map[string]object
	endpoints map[string][]object
	tags      map[string]map[string]string // by ARN
	files     map[string][]byte            // by bucket/key
	logs      []string                     // of every host of every job
	hosts     int                          // of a job; each has a stream
	calls     []string                     // operation and name, in order
	refusals  map[string][]refusal         // by operation, given before anything else

	training  func(name string) []object // states of a job that is created
	deploying func(op, config string) []object
	onCall    func(op string) // before an operation is carried out

	region string // of every bucket

	repositories map[string]object // requests about image repositories, by operation

	assume  *refusal // what AssumeRole answers; nil for credentials
	session string   // name of the last session
}

type object = map[string]any

// refusal is an error of the service.
type refusal struct {
	status  int
	code    string
	message string
}

func newAmazon(t *testing.T) *amazon {
	f := &amazon{
		t: t, jobs: map[string][]object{}, requests: map[string]object{}, models: map[string]object{}, configs: map[string]object{},
		endpoints: map[string][]object{}, tags: map[string]map[string]string{}, files: map[string][]byte{},
		refusals: map[string][]refusal{}, repositories: map[string]object{}, hosts: 1,
	}
	f.training = func(string) []object { return []object{running("Starting"), running("Training"), ranWell} }
	f.deploying = func(op, config string) []object {
		busy := object{"EndpointStatus": "Creating", "EndpointConfigName": config}
		if op == "UpdateEndpoint" {
			busy = object{"EndpointStatus": "Updating", "EndpointConfigName": "old"}
		}
		return []object{busy, {"EndpointStatus": "InService", "EndpointConfigName": config}}
	}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

// Scripted states of a training job.
var (
	ranWell = object{"TrainingJobStatus": "Completed", "SecondaryStatus": "Completed",
		"TrainingStartTime": 1.7e9, "TrainingEndTime": 1.7e9 + 90, "BillableTimeInSeconds": 88}
	stopped = object{"TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}
)

func running(doing string) object {
	return object{"TrainingJobStatus": "InProgress", "SecondaryStatus": doing}
}

func failed(reason string) object {
	return object{"TrainingJobStatus": "Failed", "SecondaryStatus": "Failed", "FailureReason": reason}
}

func (f *amazon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // whoever asked has left
	}
	switch target := r.Header.Get("X-Amz-Target"); {
	case target != "":
		_, op, _ := strings.Cut(target, ".")
		f.json(w, op, body)
	case strings.HasPrefix(r.URL.Path, "/endpoints/"):
		f.answer(w, r, body)
	case strings.Contains(string(body), "Action=GetCallerIdentity"):
		f.caller(w)
	case strings.Contains(string(body), "Action=AssumeRole"):
		f.role(w, body)
	default:
		f.object(w, r, body)
	}
}

// json serves SageMaker, CloudWatch Logs and ECR.
func (f *amazon) json(w http.ResponseWriter, op string, body []byte) {
	in := object{}
	if err := json.Unmarshal(body, &in); err != nil {
		f.t.Errorf("%s: %v in %s", op, err, body)
	}
	f.calls = append(f.calls, strings.TrimSpace(op+" "+nameIn(in)))
	if f.onCall != nil {
		f.onCall(op)
	}
	out, no := f.refuse(op)
	if no == nil {
		out, no = f.do(op, in)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if no != nil {
		w.WriteHeader(no.status)
		out = object{"__type": no.code, "message": no.message}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func nameIn(in object) string {
	for _, key := range []string{"TrainingJobName", "ModelName", "EndpointName", "EndpointConfigName"} {
		if name, ok := in[key].(string); ok {
			return name
		}
	}
	return ""
}

// refuse takes the next scripted refusal of an operation.
func (f *amazon) refuse(op string) (object, *refusal) {
	list := f.refusals[op]
	if len(list) == 0 {
		return nil, nil
	}
	f.refusals[op] = list[1:]
	return nil, &list[0]
}

func invalid(message string) *refusal { return &refusal{400, "ValidationException", message} }

func (f *amazon) do(op string, in object) (object, *refusal) {
	name := nameIn(in)
	switch op {
	case "CreateTrainingJob":
		if f.jobs[name] != nil {
			return nil, &refusal{400, "ResourceInUse", "Job name must be unique within an AWS account and region"}
		}
		f.jobs[name], f.requests[name] = f.training(name), in
		return object{"TrainingJobArn": f.tagged("training-job/"+name, in)}, nil
	case "DescribeTrainingJob":
		base := object{"TrainingJobName": name, "TrainingJobArn": arn("training-job/" + name)}
		for _, key := range []string{"HyperParameters", "OutputDataConfig", "ResourceConfig"} {
			base[key] = f.requests[name][key]
		}
		return f.look(f.jobs, name, base, "Requested resource not found.")
	case "StopTrainingJob":
		f.jobs[name] = []object{{"TrainingJobStatus": "Stopping", "SecondaryStatus": "Stopping"}, stopped}
		return object{}, nil
	case "ListTags":
		var list []object
		for key, value := range f.tags[in["ResourceArn"].(string)] {
			list = append(list, object{"Key": key, "Value": value})
		}
		return object{"Tags": list}, nil
	case "AddTags":
		list, _ := in["Tags"].([]any)
		for _, tag := range list {
			f.tags[in["ResourceArn"].(string)][tag.(object)["Key"].(string)] = tag.(object)["Value"].(string)
		}
		return object{}, nil
	case "CreateModel":
		return f.create(f.models, name, "model", "ModelArn", in)
	case "DescribeModel":
		return f.describe(f.models, name, "Could not find model "+name)
	case "CreateEndpointConfig":
		return f.create(f.configs, name, "endpoint-config", "EndpointConfigArn", in)
	case "DescribeEndpointConfig":
		return f.describe(f.configs, name, "Could not find endpoint configuration "+name)
	}
	return f.doEndpoint(op, name, in)
}

func (f *amazon) doEndpoint(op, name string, in object) (object, *refusal) {
	switch op {
	case "CreateEndpoint":
		if f.endpoints[name] != nil {
			return nil, invalid("Cannot create already existing endpoint " + name)
		}
		f.endpoints[name] = f.deploying(op, in["EndpointConfigName"].(string))
		return object{"EndpointArn": f.tagged("endpoint/"+name, in)}, nil
	case "UpdateEndpoint":
		f.endpoints[name] = f.deploying(op, in["EndpointConfigName"].(string))
		return object{"EndpointArn": arn("endpoint/" + name)}, nil
	case "DeleteEndpoint":
		delete(f.endpoints, name)
		return object{}, nil
	case "DescribeEndpoint":
		return f.look(f.endpoints, name, object{"EndpointName": name, "EndpointArn": arn("endpoint/" + name)},
			"Could not find endpoint "+name)
	case "DescribeLogStreams":
		prefix := in["logStreamNamePrefix"].(string)
		var streams []object
		for host := range f.hosts {
			streams = append(streams, object{"logStreamName": fmt.Sprintf("%salgo-%d-1700000000", prefix, host+1)})
		}
		return object{"logStreams": streams}, nil
	case "GetLogEvents":
		return f.logPage(in), nil
	case "CreateRepository", "PutLifecyclePolicy":
		f.repositories[op] = in
		return object{}, nil
	case "DescribeRepositories":
		return object{"repositories": []object{{"repositoryName": "shop/risk"}}}, nil
	case "GetAuthorizationToken":
		return object{"authorizationData": []object{{"authorizationToken": "QVdTOndvcmQ="}}}, nil
	}
	return nil, &refusal{400, "UnknownOperationException", op}
}

// logPage gives two lines at a time; the token is the number of the next one.
func (f *amazon) logPage(in object) object {
	var from int
	if token, ok := in["nextToken"].(string); ok {
		_, _ = fmt.Sscan(token, &from)
	}
	to := min(from+2, len(f.logs))
	var events []object
	for _, line := range f.logs[from:to] {
		events = append(events, object{"message": line, "timestamp": 1})
	}
	return object{"events": events, "nextForwardToken": fmt.Sprint(to)}
}

func arn(resource string) string { return "arn:aws:sagemaker:eu-west-1:123456789012:" + resource }

// tagged keeps the tags of a request and gives the resource's ARN.
func (f *amazon) tagged(resource string, in object) string {
	found := map[string]string{}
	list, _ := in["Tags"].([]any)
	for _, tag := range list {
		found[tag.(object)["Key"].(string)] = tag.(object)["Value"].(string)
	}
	f.tags[arn(resource)] = found
	return arn(resource)
}

// look shows the next state of a resource.
func (f *amazon) look(all map[string][]object, name string, base object, missing string) (object, *refusal) {
	states := all[name]
	if len(states) == 0 {
		return nil, invalid(missing)
	}
	if len(states) > 1 {
		all[name] = states[1:]
	}
	for key, value := range states[0] {
		base[key] = value
	}
	if base["gone"] != nil {
		delete(all, name)
		return nil, invalid(missing)
	}
	return base, nil
}

func (f *amazon) create(all map[string]object, name, kind, arnField string, in object) (object, *refusal) {
	if all[name] != nil {
		return nil, invalid("Cannot create already existing " + kind + " " + name)
	}
	in[arnField] = f.tagged(kind+"/"+name, in)
	all[name] = in
	return object{arnField: in[arnField]}, nil
}

func (f *amazon) describe(all map[string]object, name, missing string) (object, *refusal) {
	if all[name] == nil {
		return nil, invalid(missing)
	}
	return all[name], nil
}

// answer is the runtime: it says what it was asked.
func (f *amazon) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	f.calls = append(f.calls, "InvokeEndpoint")
	if _, no := f.refuse("InvokeEndpoint"); no != nil {
		w.Header().Set("X-Amzn-Errortype", no.code)
		w.WriteHeader(no.status)
		_, _ = io.WriteString(w, no.message)
		return
	}
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	w.Header().Set("X-Amzn-Invoked-Production-Variant", "main")
	_, _ = w.Write(append([]byte("\n"), body...))
}

func (f *amazon) caller(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/xml")
	if _, no := f.refuse("GetCallerIdentity"); no != nil {
		w.WriteHeader(no.status)
		_, _ = fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", no.code, no.message)
		return
	}
	_, _ = io.WriteString(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/me</Arn>`+
		`<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
}

func (f *amazon) role(w http.ResponseWriter, body []byte) {
	form, _ := url.ParseQuery(string(body))
	f.session = form.Get("RoleSessionName")
	w.Header().Set("Content-Type", "text/xml")
	if f.assume != nil {
		w.WriteHeader(f.assume.status)
		_, _ = fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", f.assume.code, f.assume.message)
		return
	}
	_, _ = io.WriteString(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>a</AccessKeyId>`+
		`<SecretAccessKey>b</SecretAccessKey><SessionToken>c</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>`+
		`</Credentials></AssumeRoleResult></AssumeRoleResponse>`)
}

// object is S3, by path.
func (f *amazon) object(w http.ResponseWriter, r *http.Request, body []byte) {
	key := strings.TrimPrefix(r.URL.Path, "/")
	f.calls = append(f.calls, r.Method+" "+key)
	_, no := f.refuse(r.Method)
	if bucket := !strings.Contains(key, "/"); bucket && r.Method == http.MethodHead {
		w.Header().Set("X-Amz-Bucket-Region", f.region)
		if no != nil {
			w.WriteHeader(no.status)
		}
		return
	}
	if no == nil && r.Method != http.MethodPut && f.files[key] == nil {
		no = &refusal{404, "NoSuchKey", "The specified key does not exist."}
	}
	switch {
	case no != nil:
		w.WriteHeader(no.status)
		if r.Method != http.MethodHead {
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", no.code, no.message)
		}
	case r.Method == http.MethodPut:
		f.files[key] = body
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, md5.Sum(body)))
	case r.Method == http.MethodDelete:
		delete(f.files, key)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet:
		_, _ = w.Write(f.files[key])
	}
}

// called says how often an operation was called, and asks for exactly that.
func (f *amazon) called(op string, want int) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	got := 0
	for _, call := range f.calls {
		if call == op || strings.HasPrefix(call, op+" ") {
			got++
		}
	}
	if got != want {
		f.t.Errorf("%s was called %d times, want %d, in %v", op, got, want, f.calls)
	}
}

// visit is a cloud on the fake, with a clock that waiting moves forward.
type visit struct {
	*cloud.Cloud
	mu    sync.Mutex
	lines []string
	clock time.Time
	waits int
	onTry func(wait int) // called before each wait
}

func connect(t *testing.T, url string) *visit {
	t.Helper()
	v := &visit{clock: time.Unix(1.7e9, 0)}
	c, err := cloud.New(context.Background(), cloud.Config{
		Region: "eu-west-1", Endpoint: url, AccessKey: "key", Secret: secret.New("word"), Poll: time.Millisecond,
		Log: func(line string) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.lines = append(v.lines, line)
		},
		Now: func() time.Time { return v.clock },
		Wait: func(ctx context.Context, _ time.Duration) error {
			v.waits++
			if v.onTry != nil {
				v.onTry(v.waits)
			}
			v.clock = v.clock.Add(10 * time.Second)
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	v.Cloud = c
	return v
}

// said asks for a line of the log.
func (v *visit) said(t *testing.T, want string) {
	t.Helper()
	if !slices.ContainsFunc(v.lines, func(line string) bool { return strings.Contains(line, want) }) {
		t.Errorf("the log has no line with %q: %q", want, v.lines)
	}
}

// failsWith asks for the kind of an error and a part of its text.
func failsWith(t *testing.T, err error, kind fault.Kind, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one of kind %d with %q", kind, text)
	}
	if fault.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("error of kind %d: %v; want kind %d with %q", fault.KindOf(err), err, kind, text)
	}
}
