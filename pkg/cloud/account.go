package cloud

import (
	"context"
	"encoding/base64"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/secret"
)

// Identity is as whom we speak, and to whom.
type Identity struct {
	Account string
	ARN     string        // of the role's session or of the user
	Ahead   time.Duration // of AWS's clock, before this machine's
	Clock   bool          // AWS told the time
}

// Identity asks as whom we speak.
func (c *Cloud) Identity(ctx context.Context) (Identity, error) {
	who, err := c.sts().GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, call{"ask AWS who we are", "sts:GetCallerIdentity"}.fault(err)
	}
	id := Identity{Account: aws.ToString(who.Account), ARN: aws.ToString(who.Arn)}
	if there, ok := middleware.GetServerTime(who.ResultMetadata); ok && !there.IsZero() {
		id.Ahead, id.Clock = there.Sub(c.now()).Round(time.Second), true
	}
	return id, nil
}

// ecrHost is <account>.dkr.ecr.<region>.amazonaws.com, its FIPS, Chinese and
// dual-stack forms.
var ecrHost = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\d{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)$`)
})

// IsECR says whether a registry is one that RegistryToken has a token for.
func IsECR(registryHost string) bool { return ecrHost().MatchString(registryHost) }

// ECRRegion is the region of a registry of ECR, or "" for other registries.
func ECRRegion(registryHost string) string {
	if parts := ecrHost().FindStringSubmatch(registryHost); parts != nil {
		return parts[1]
	}
	return ""
}

// RegistryToken is a user and a password, valid for twelve hours, for a
// registry of ECR: that of the host's own account and region.
func (c *Cloud) RegistryToken(ctx context.Context, registryHost string) (user string, password secret.Value, err error) {
	parts := ecrHost().FindStringSubmatch(registryHost)
	if parts == nil {
		return "", secret.Value{}, fault.Newf(fault.Repository,
			"sign in to registry %s: wanted <account>.dkr.ecr.<region>.amazonaws.com", registryHost).
			Hintf("give this registry's credentials instead")
	}
	client := ecr.NewFromConfig(c.aws, func(o *ecr.Options) { o.Region = parts[1] })
	answer, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return "", secret.Value{}, call{"sign in to registry " + registryHost, "ecr:GetAuthorizationToken"}.fault(err)
	}
	for _, data := range answer.AuthorizationData {
		pair, err := base64.StdEncoding.DecodeString(aws.ToString(data.AuthorizationToken))
		if err != nil {
			continue
		}
		if user, word, ok := strings.Cut(string(pair), ":"); ok {
			return user, secret.New(word), nil
		}
	}
	return "", secret.Value{}, fault.Newf(fault.Remote, "sign in to registry %s: ECR answered without a token", registryHost).
		Hintf("run it again")
}
