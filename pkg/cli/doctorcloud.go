package cli

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/doctor"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
	"gitlab.com/towline/towline/pkg/release"
	"gitlab.com/towline/towline/pkg/secret"
)

// cloud asks AWS: who we are first, and then what we may do.
func (e *examination) cloud(ctx context.Context) {
	why := e.noCloud()
	if why == "" {
		account := e.identity(ctx)
		if why = e.notSignedIn(); why == "" {
			e.services(ctx, account)
			return
		}
	} else {
		e.facts.Identity.Skip = why
	}
	e.facts.S3.Skip, e.facts.SageMaker.Skip, e.facts.Registry.Skip = why, why, why
}

// noCloud is why there is nobody to be asked, or "".
func (e *examination) noCloud() string {
	switch {
	case e.o.offline:
		return offline
	case e.repoErr != nil:
		return "the environments stand in the manifest, which cannot be read"
	case e.destErr != nil:
		return e.destErr.Error()
	case e.dest.local:
		return "the target is local: --target aws --env NAME asks AWS"
	}
	return ""
}

// notSignedIn is why AWS cannot be asked for more, or "". Who did not want to
// know as whom it is asked is told then.
func (e *examination) notSignedIn() string {
	if e.facts.Identity.Called.Good() {
		return ""
	}
	if len(e.o.only) > 0 && !slices.Contains(e.o.only, doctor.GroupIdentity) {
		e.facts.Only = append(slices.Clone(e.o.only), doctor.GroupIdentity)
	}
	return "AWS is not signed in to"
}

// connectFor makes a client for the environment that gives up soon.
func (e *examination) connectFor(ctx context.Context, change func(*cloud.Config)) (*cloud.Cloud, error) {
	cfg := e.a.signIn(e.dest, cloud.Config{Region: e.dest.Region, S3Endpoint: e.dest.Endpoint, Now: e.a.now, Attempts: 2})
	change(&cfg)
	return cloud.New(ctx, cfg)
}

// identity signs in step by step, and asks who we are then.
func (e *examination) identity(ctx context.Context) *cloud.Cloud {
	i := &e.facts.Identity
	cfg := e.a.signIn(e.dest, cloud.Config{})
	i.InJob, i.Server = e.inJob, or(e.job.ServerURL, "https://gitlab.example.com")
	i.Environment, i.ExecutionRole = e.dest.name, e.dest.ExecutionRole
	i.Role, i.EntryRole, i.SessionTags, i.Keys = cfg.Role, cfg.EntryRole, e.dest.SessionTags, e.keys()
	if !cfg.Token.Empty() {
		i.Token, i.TokenRead = readIDToken(cfg.Token)
		i.First = e.ask(ctx, func(ctx context.Context) error {
			first, err := e.connectFor(ctx, func(c *cloud.Config) { c.EntryRole, c.Role = or(c.EntryRole, c.Role), "" })
			if err != nil {
				return err
			}
			return first.SignIn(ctx)
		})
	}
	if !i.First.Good() {
		i.Second = doctor.NotAsked("the role before it cannot be assumed")
		i.Called = doctor.NotAsked("there are no credentials")
		return nil
	}
	var account *cloud.Cloud
	i.Second = e.ask(ctx, func(ctx context.Context) (err error) {
		if account, err = e.connectFor(ctx, func(*cloud.Config) {}); err != nil {
			return err
		}
		return account.SignIn(ctx)
	})
	i.Called = i.Second
	if !i.Second.Good() {
		return nil
	}
	i.Called = e.ask(ctx, func(ctx context.Context) error {
		who, err := account.Identity(ctx)
		i.Caller, i.CallerAccount = who.ARN, who.Account
		if who.Clock {
			e.clock("AWS", who.Ahead)
		}
		return err
	})
	return account
}

// keys names the variable by which other credentials than a token are known.
func (e *examination) keys() string {
	for _, name := range []string{accessKeyID, idTokenFile, awsProfile, containerCred} {
		if e.a.getenv(name) != "" {
			return name
		}
	}
	return ""
}

func readIDToken(token secret.Value) (*doctor.Token, doctor.Answer) {
	claims, err := cloud.ReadToken(token)
	if err != nil {
		return nil, doctor.Answered(err)
	}
	return &doctor.Token{
		Issuer: claims.Issuer, Subject: claims.Subject, Audience: claims.Audience, Issued: claims.Issued, Expires: claims.Expires,
	}, doctor.Answer{}
}

// services asks S3, SageMaker and the registry, all at once.
func (e *examination) services(ctx context.Context, account *cloud.Cloud) {
	var wait sync.WaitGroup
	for group, look := range map[string]func(context.Context, *cloud.Cloud){
		doctor.GroupS3: e.bucket, doctor.GroupSageMaker: e.sagemaker, doctor.GroupRegistry: e.registry,
	} {
		if e.wanted(group) {
			wait.Go(func() { look(ctx, account) })
		}
	}
	wait.Wait()
}

// partition is that of the account: aws, or aws-cn.
func (e *examination) partition() string {
	if parts := strings.Split(e.facts.Identity.Caller, ":"); len(parts) > 1 {
		return parts[1]
	}
	return ""
}

// scratch names the object that the bucket is tried with: a job's has the
// job's name, so that it can be found again if it had to be left behind.
func (e *examination) scratch() string {
	name := e.a.sessionName()
	if !e.inJob {
		name = strings.ToLower(rand.Text()[:12])
	}
	return "s3://" + e.dest.Bucket + "/" + e.repo.manifest.Project + "/.towline-doctor/" + name
}

// bucket tries the environment's bucket.
func (e *examination) bucket(ctx context.Context, account *cloud.Cloud) {
	s := &e.facts.S3
	s.Bucket, s.Partition, s.Prefix, s.Region = e.dest.Bucket, e.partition(), e.repo.manifest.Project+"/", e.dest.Region
	s.There = e.ask(ctx, func(ctx context.Context) (err error) {
		s.Found, err = account.BucketRegion(ctx, s.Bucket)
		return err
	})
	if s.There.Kind == fault.Missing || s.Found != "" && s.Found != s.Region {
		const why = "the bucket cannot be used"
		s.Write, s.Read, s.Remove = doctor.NotAsked(why), doctor.NotAsked(why), doctor.NotAsked(why)
		return
	}
	scratch := e.scratch()
	var trial cloud.Trial
	s.Write = e.ask(ctx, func(ctx context.Context) error {
		trial = account.TryObject(ctx, scratch, e.dest.KMSKey)
		return trial.Write
	})
	if trial.Write != nil {
		const why = "nothing could be written"
		s.Read, s.Remove = doctor.NotAsked(why), doctor.NotAsked(why)
		return
	}
	s.Read, s.Remove = doctor.Answered(trial.Read), doctor.Answered(trial.Remove)
	if trial.Remove != nil {
		s.Left = scratch
	}
}

// sagemaker describes what a release of the first model would be called.
func (e *examination) sagemaker(ctx context.Context, account *cloud.Cloud) {
	s := &e.facts.SageMaker
	project := e.repo.manifest.Project
	s.Partition, s.Region, s.Account, s.Project = e.partition(), e.dest.Region, e.facts.Identity.CallerAccount, project
	name := release.SageMakerName(project, "towline-doctor")
	kinds := cloud.Describables()
	s.Described = make([]doctor.Described, len(kinds))
	var wait sync.WaitGroup
	for n, kind := range kinds {
		wait.Go(func() {
			d := doctor.Described{Kind: kind.Kind, Action: kind.Action, Name: name}
			if kind.Kind == "endpoint" {
				d.Name = plan.EndpointName(project, e.repo.manifest.Models[0].Name, e.dest.name)
			}
			d.Answer = e.ask(ctx, func(ctx context.Context) (err error) {
				d.There, err = account.Describe(ctx, kind, d.Name)
				return err
			})
			s.Described[n] = d
		})
	}
	wait.Go(func() {
		s.Logs = e.ask(ctx, func(ctx context.Context) error { return account.MayReadLogs(ctx, name) })
	})
	wait.Wait()
}

// registry asks for a login, and tries where the models' images go.
func (e *examination) registry(ctx context.Context, account *cloud.Cloud) {
	r := &e.facts.Registry
	r.Host, _, _ = strings.Cut(e.dest.Registry, "/")
	r.Partition, r.Region = e.partition(), cloud.ECRRegion(r.Host)
	if r.ECR = r.Region != ""; r.ECR {
		r.Account, _, _ = strings.Cut(r.Host, ".")
		r.Login = e.ask(ctx, func(ctx context.Context) error {
			_, _, err := account.RegistryToken(ctx, r.Host)
			return err
		})
	}
	o, err := e.a.bundlerOptions(e.a.teller(), nil, registryLogin(account, e.a.now))
	if err != nil {
		r.Login = doctor.Answered(err)
		return
	}
	o.Backoff = quickly
	images := bundle.New(o)
	r.Repositories = make([]doctor.ImageRepository, len(e.repo.manifest.Models))
	var wait sync.WaitGroup
	for n, model := range e.repo.manifest.Models {
		wait.Go(func() {
			name := plan.Repository(e.dest.Registry, e.repo.manifest.Project, model.Name)
			r.Repositories[n] = e.imageRepository(ctx, account, images, r, name)
			r.Repositories[n].Model = model.Name
		})
	}
	wait.Wait()
}

func (e *examination) imageRepository(ctx context.Context, account *cloud.Cloud, images *bundle.Bundler, r *doctor.Registry, name string) doctor.ImageRepository {
	i := doctor.ImageRepository{Name: name}
	if r.ECR {
		there := false
		i.Asked = e.ask(ctx, func(ctx context.Context) (err error) {
			there, err = account.HasRepository(ctx, name)
			return err
		})
		i.Missing = i.Asked.Good() && !there
	}
	if i.Missing || !r.Login.Good() {
		i.Pull, i.Push = doctor.NotAsked("there is no login"), doctor.NotAsked("there is no login")
		return i
	}
	i.Pull = e.ask(ctx, func(ctx context.Context) error { return images.MayPull(ctx, name) })
	i.Push = e.ask(ctx, func(ctx context.Context) (err error) {
		i.Left, err = images.MayPush(ctx, name)
		return err
	})
	return i
}
