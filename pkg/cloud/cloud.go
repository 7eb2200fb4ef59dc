// Package cloud carries actions out in AWS, or in the embedded local cloud:
// only the endpoint differs.
//
// In come typed actions with every reference filled, and names to ask about;
// out go receipts, and what SageMaker, S3, STS and ECR know. It is the only
// home of the AWS SDK. It never decides what should change, never prints, and
// never takes over a job, a model or an endpoint that is not this model's own.
package cloud

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/secret"
)

// The tags by which a resource says whose it is.
const (
	tagProject  = "towline:project"
	tagModel    = "towline:model"
	tagVersion  = "towline:version"
	tagIdentity = "towline:identity"
)

const (
	defaultPoll = 20 * time.Second
	attempts    = 8                // of one request, with the SDK's back-off in between
	answerLimit = 2 * time.Minute  // until a service begins to answer
	farewell    = 15 * time.Second // what is done after an interruption must end by then
)

// Config says where the cloud is and as whom to speak to it.
type Config struct {
	Region     string
	Endpoint   string // "" for AWS; http://127.0.0.1:PORT for the local cloud
	S3Endpoint string // another S3 service, such as MinIO; "" for the one at Endpoint

	// AccessKey and Secret are fixed credentials. With them nothing is read
	// from the user's AWS environment, files or instance.
	AccessKey string
	Secret    secret.Value

	// Token is the ID token of a GitLab job. With it EntryRole is assumed, or
	// Role where there is none, and no other credentials are looked for.
	Token     secret.Value
	EntryRole string

	Role    string            // assumed if set
	Session string            // name of the sessions
	Tags    map[string]string // of a session that credentials of AWS open; a token opens one without

	Attempts int // of one request; 0 for 8

	Log  func(line string)                          // a training's log lines and changes of state, as they come; may be nil
	Poll time.Duration                              // between two looks at a job; 0 for 20 s with jitter
	Now  func() time.Time                           // nil for the host's clock
	Wait func(context.Context, time.Duration) error // nil for a timer
}

// Cloud is one account in one region.
type Cloud struct {
	sagemaker func() *sagemaker.Client
	runtime   func() *sagemakerruntime.Client
	s3        func() *s3.Client
	logs      func() *cloudwatchlogs.Client
	sts       func() *sts.Client

	aws   aws.Config
	part  int64 // bytes of one request of an upload
	log   func(string)
	now   func() time.Time
	wait  func(context.Context, time.Duration) error
	pause func() time.Duration
}

// New prepares the clients; nothing is called yet.
func New(ctx context.Context, cfg Config) (*Cloud, error) {
	base, err := load(ctx, cfg)
	if err != nil {
		return nil, err
	}
	c := &Cloud{aws: base, part: partSize, log: cfg.Log, now: cfg.Now, wait: cfg.Wait, pause: pauses(cfg.Poll)}
	if c.log == nil {
		c.log = func(string) {}
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.wait == nil {
		c.wait = sleep
	}
	c.sagemaker = sync.OnceValue(func() *sagemaker.Client { return sagemaker.NewFromConfig(base) })
	c.runtime = sync.OnceValue(func() *sagemakerruntime.Client { return sagemakerruntime.NewFromConfig(base) })
	c.logs = sync.OnceValue(func() *cloudwatchlogs.Client { return cloudwatchlogs.NewFromConfig(base) })
	c.sts = sync.OnceValue(func() *sts.Client { return sts.NewFromConfig(base) })
	c.s3 = sync.OnceValue(func() *s3.Client { return s3.NewFromConfig(base, s3Options(cfg)) })
	return c, nil
}

// load makes the configuration that all clients share.
func load(ctx context.Context, cfg Config) (aws.Config, error) {
	var err error
	base := aws.Config{Region: cfg.Region}
	if cfg.AccessKey == "" {
		base, err = config.LoadDefaultConfig(ctx, config.WithRegion(cfg.Region))
		if err != nil {
			return aws.Config{}, fault.Newf(fault.Denied, "read the AWS configuration: %w", err).
				Hintf("check the AWS_* variables and ~/.aws/config")
		}
	} else {
		base.Credentials = aws.NewCredentialsCache(
			credentials.NewStaticCredentialsProvider(cfg.AccessKey, cfg.Secret.Reveal(), ""))
	}
	if base.Region == "" {
		return aws.Config{}, fault.Newf(fault.Repository, "reach AWS: no region is set").
			Hintf("set region for this environment in towline.yaml")
	}
	if cfg.Endpoint != "" {
		base.BaseEndpoint = aws.String(cfg.Endpoint)
	}
	base.Retryer = func() aws.Retryer { return retryer(cmp.Or(cfg.Attempts, attempts), cfg.Poll) }
	base.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = answerLimit
	})
	base.Credentials, err = signIn(base, cfg)
	return base, err
}

// s3Options lead S3 to another address, by path instead of by host name, and
// without checksums that only AWS understands.
func s3Options(cfg Config) func(*s3.Options) {
	return func(o *s3.Options) {
		o.DisableLogOutputChecksumValidationSkipped = true // it would be told to stderr, past the hall
		if cfg.S3Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.S3Endpoint)
		}
		if cfg.Endpoint == "" && cfg.S3Endpoint == "" {
			return
		}
		o.UsePathStyle = true
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	}
}

// retryer repeats a request that was throttled or lost. Where polling is fast,
// as on the local cloud, its pauses are short too.
func retryer(most int, poll time.Duration) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = most
		if poll > 0 {
			o.MaxBackoff = min(5*poll, retry.DefaultMaxBackoff)
		}
	})
}

// pauses gives the time until the next look: a fixed one, or 20 s with a
// quarter more or less, so that many pipelines do not ask in step.
func pauses(poll time.Duration) func() time.Duration {
	if poll > 0 {
		return func() time.Duration { return poll }
	}
	return func() time.Duration { return defaultPoll*3/4 + rand.N(defaultPoll/2) }
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// afterwards is a context for what must still be done when ctx is cancelled.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), farewell)
}
