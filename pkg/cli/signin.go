package cli

import (
	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/secret"
)

// The variables that say as whom AWS is to be used. The SDK reads all but the
// first by itself.
const (
	idToken       = "AWS_ID_TOKEN"
	roleARN       = "AWS_ROLE_ARN"
	idTokenFile   = "AWS_WEB_IDENTITY_TOKEN_FILE"
	accessKeyID   = "AWS_ACCESS_KEY_ID"
	awsProfile    = "AWS_PROFILE"
	containerCred = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
)

// signIn adds to a configuration as whom the destination is spoken to: by keys
// that somebody has set, else by the job's ID token if it has one, else by what
// the SDK finds. Components always ask for a token; keys are set on purpose.
func (a *app) signIn(d destination, cfg cloud.Config) cloud.Config {
	if a.getenv(accessKeyID) == "" {
		cfg.Token = secret.New(a.getenv(idToken))
	}
	cfg.Role, cfg.EntryRole = d.Role, d.EntryRole
	cfg.Session = a.sessionName()
	if a.getenv(idTokenFile) == "" {
		cfg.EntryRole = or(d.EntryRole, a.getenv(roleARN))
	} else if cfg.Token.Empty() && a.getenv(roleARN) == d.Role {
		cfg.Role = "" // the SDK assumes it
	}
	if d.SessionTags {
		cfg.Tags = a.sessionTags(d)
	}
	return cfg
}

// sessionName is what the assumed role's session is called in AWS's logs.
func (a *app) sessionName() string {
	if job, ok := a.job(); ok {
		return "gl-" + job.ProjectID + "-" + job.ID
	}
	return "towline"
}

// sessionTags tell AWS's logs and policies what a session is for.
func (a *app) sessionTags(d destination) map[string]string {
	tags := map[string]string{"towline:environment": d.name}
	job, ok := a.job()
	if !ok {
		return tags
	}
	for key, value := range map[string]string{
		"gitlab:project": job.ProjectPath, "gitlab:pipeline": job.PipelineID, "gitlab:job": job.ID, "gitlab:ref": job.Ref,
	} {
		if value != "" {
			tags[key] = value
		}
	}
	return tags
}
