package cloud

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/secret"
)

const (
	sessionLength = time.Hour   // of a role that credentials assume: every role allows it, and a chained one no more
	renewBefore   = time.Minute // how long before its end a session is opened again
	tokenAttempts = 3           // to assume a role with a token; STS may not have fetched GitLab's keys yet
)

// signIn gives the credentials that everything else is signed with: those that
// were found, or a role's, which is assumed again whenever its session ends.
func signIn(base aws.Config, cfg Config) (aws.CredentialsProvider, error) {
	first, second := cfg.EntryRole, cfg.Role
	if cfg.Token.Empty() {
		first = ""
	} else {
		if first == "" || first == second {
			first, second = second, ""
		}
		if first == "" {
			return nil, fault.Newf(fault.Repository, "sign in with AWS_ID_TOKEN: no role is named").
				Hintf("set role for this environment in towline.yaml, or the variable AWS_ROLE_ARN")
		}
		claims, err := ReadToken(cfg.Token)
		if err != nil {
			return nil, err
		}
		base.Credentials = renewed(&tokenRole{
			WebIdentityRoleProvider: stscreds.NewWebIdentityRoleProvider(tokenSTS(base), first, inMemory{cfg.Token},
				func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = sessionName(cfg.Session) }),
			role: first, claims: claims,
		})
	}
	if second == "" {
		return base.Credentials, nil
	}
	return renewed(&assumedRole{
		AssumeRoleProvider: stscreds.NewAssumeRoleProvider(sts.NewFromConfig(base), second, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName, o.Duration, o.Tags = sessionName(cfg.Session), sessionLength, sessionTags(cfg.Tags)
		}),
		role: second, by: first,
	}), nil
}

func renewed(p aws.CredentialsProvider) aws.CredentialsProvider {
	return aws.NewCredentialsCache(p, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = renewBefore })
}

// tokenSTS is the client for tokens: what they are refused for is seldom gone
// on the next attempt.
func tokenSTS(base aws.Config) *sts.Client {
	return sts.NewFromConfig(base, func(o *sts.Options) {
		o.Credentials = aws.AnonymousCredentials{}
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = tokenAttempts, time.Second
		})
	})
}

// inMemory hands out a token that never touches the disk.
type inMemory struct{ token secret.Value }

// GetIdentityToken is what stscreds asks for.
func (m inMemory) GetIdentityToken() ([]byte, error) { return []byte(m.token.Reveal()), nil }

// tokenRole is a role assumed with a job's token.
type tokenRole struct {
	*stscreds.WebIdentityRoleProvider
	role   string
	claims Claims
}

// Retrieve assumes the role.
func (p *tokenRole) Retrieve(ctx context.Context) (aws.Credentials, error) {
	given, err := p.WebIdentityRoleProvider.Retrieve(ctx)
	var api smithy.APIError
	if err == nil || !errors.As(err, &api) {
		return given, err
	}
	kind, hint := p.claims.remedy(p.role, api)
	if hint == "" {
		return given, err
	}
	// Without its cause: the SDK would take a refusal of the token for one of
	// the request that needs it, and try that again.
	return given, fault.Newf(kind, "assume %s with AWS_ID_TOKEN: %s", p.role, describe(api)).Hintf("%s", hint)
}

// assumedRole is a role assumed by other credentials.
type assumedRole struct {
	*stscreds.AssumeRoleProvider
	role, by string // by is the role that assumes it, if that is known
}

// Retrieve assumes the role.
func (p *assumedRole) Retrieve(ctx context.Context) (aws.Credentials, error) {
	given, err := p.AssumeRoleProvider.Retrieve(ctx)
	var api smithy.APIError
	if known := (*fault.Error)(nil); err == nil || errors.As(err, &known) || !errors.As(err, &api) || api.ErrorCode() != "AccessDenied" {
		return given, err
	}
	who := p.by
	if who == "" {
		who = "the caller"
	}
	f := fault.Newf(fault.Denied, "assume the role %s: %w", p.role, plain{describe(api), err})
	if strings.Contains(api.ErrorMessage(), "sts:TagSession") {
		return given, f.Hintf("add sts:TagSession to the actions in the role's trust policy, or remove session_tags from the environment")
	}
	return given, f.Hintf("let the environment's role be assumed: allow %s sts:AssumeRole on it, and name %s as Principal in the role's trust policy", who, who)
}

var (
	notInSession = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[^\w+=,.@-]+`) })
	notInTag     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[^\p{L}\p{Z}\p{N}_.:/=+\-@]`) })
)

// sessionName keeps to the rules of STS: 2 to 64 word characters and +=,.@-.
func sessionName(wanted string) string {
	name := notInSession().ReplaceAllString(wanted, "-")
	if len(name) < 2 {
		return "towline"
	}
	return name[:min(len(name), 64)]
}

// sessionTags keep to the rules of STS: letters, digits, spaces and _.:/=+-@,
// up to 256 of them.
func sessionTags(wanted map[string]string) []types.Tag {
	var tags []types.Tag
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		value := []rune(notInTag().ReplaceAllString(wanted[key], "_"))
		tags = append(tags, types.Tag{Key: aws.String(key), Value: aws.String(string(value[:min(len(value), 256)]))})
	}
	return tags
}

// remedy is what a user can change when STS refuses the token, or "".
// https://docs.gitlab.com/ci/cloud_services/aws/
func (c Claims) remedy(role string, api smithy.APIError) (fault.Kind, string) {
	message, issuer := api.ErrorMessage(), c.provider()
	switch code := api.ErrorCode(); {
	case code == "AccessDenied":
		return fault.Denied, fmt.Sprintf("let the trust policy of the role allow sts:AssumeRoleWithWebIdentity where %s:aud is %q and %s:sub is %q; "+
			"a pattern with * needs StringLike", issuer, strings.Join(c.Audience, " "), issuer, c.Subject)
	case code == "ExpiredTokenException" && c.short():
		return fault.Denied, "set timeout: on the job, longer than it runs: without it GitLab's token lives 5 minutes"
	case code == "ExpiredTokenException":
		return fault.Denied, "GitLab's token lives as long as the job's timeout: set timeout: to more than the job runs, and check this machine's clock"
	case code == "IDPCommunicationError":
		return fault.Remote, "run the job again; if it lasts, let AWS reach " + c.Issuer + "/.well-known/openid-configuration"
	case strings.Contains(message, "verification key"):
		return fault.Denied, "let AWS reach " + c.Issuer + "/.well-known/openid-configuration from the internet, " +
			"or publish those files where it can and set ci_id_tokens_issuer_url in gitlab.rb (GitLab 18.1)"
	case strings.Contains(message, "audience"):
		return fault.Denied, fmt.Sprintf("set aud: of the job's id_tokens to an audience of the identity provider %s in IAM, or add %q to its audiences",
			issuer, strings.Join(c.Audience, " "))
	case strings.Contains(message, "No OpenIDConnect provider"):
		return fault.Denied, fmt.Sprintf("create the identity provider %s with the audience %q in account %s (IAM, Identity providers)",
			c.Issuer, strings.Join(c.Audience, " "), accountIn(role))
	case strings.Contains(message, "thumbprint"):
		return fault.Denied, "serve the certificate chain of " + issuer + " in order, its own certificate first, " +
			"and correct the thumbprint of the identity provider in IAM"
	case code == "InvalidIdentityToken":
		return fault.Denied, "write the token in the job as id_tokens: AWS_ID_TOKEN: {aud: " + c.Issuer + "}, and check the clocks"
	}
	return 0, ""
}

// accountIn is the account in an ARN.
func accountIn(arn string) string {
	if parts := strings.Split(arn, ":"); len(parts) > 4 {
		return parts[4]
	}
	return "of the role"
}
