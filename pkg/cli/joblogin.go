package cli

import (
	"context"
	"strings"

	dockerconfig "github.com/docker/cli/cli/config"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/secret"
)

// jobLogin gives the login that GitLab gives a job for its own registry, and
// those of DOCKER_AUTH_CONFIG, which its runner reads too; it asks next about
// all others. next may be nil.
func (a *app) jobLogin(next credentials) credentials {
	own, user, password := a.getenv("CI_REGISTRY"), a.getenv("CI_REGISTRY_USER"), a.getenv("CI_REGISTRY_PASSWORD")
	return func(ctx context.Context, host string) (bundle.Login, error) {
		if password != "" && host == own {
			return bundle.Login{User: user, Password: secret.New(password)}, nil
		}
		login, err := authConfig(a.getenv(authVariable), host)
		if err != nil || login != (bundle.Login{}) || next == nil {
			return login, err
		}
		return next(ctx, host)
	}
}

// authVariable holds logins in the form of Docker's configuration file.
const authVariable = "DOCKER_AUTH_CONFIG"

// dockerHub is how that file calls Docker's own registry.
const dockerHub = "https://index.docker.io/v1/"

// authConfig finds a host's login in the text of a Docker configuration file.
func authConfig(text, host string) (bundle.Login, error) {
	if strings.TrimSpace(text) == "" {
		return bundle.Login{}, nil
	}
	file, err := dockerconfig.LoadFromReader(strings.NewReader(text))
	if err != nil { // whose text may hold what is in the variable
		return bundle.Login{}, fault.Newf(fault.Usage, "read %s: it is no configuration file of Docker", authVariable).
			Hintf(`correct the variable: wanted {"auths": {"HOST": {"auth": "…"}}}`)
	}
	if host == "index.docker.io" {
		host = dockerHub
	}
	known := file.AuthConfigs[host]
	if known.Username == "" {
		return bundle.Login{}, nil
	}
	return bundle.Login{User: known.Username, Password: secret.New(known.Password)}, nil
}
