package cloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/aws/smithy-go"

	"gitlab.com/towline/towline/pkg/fault"
)

// Codes of AWS errors by what they mean. Services spell them differently.
var (
	deniedCodes = []string{
		"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AuthFailure", "Forbidden", "NotAuthorized",
		"UnauthorizedOperation", "OptInRequired", "InvalidIdentityToken",
	}
	credentialCodes = []string{
		"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidSignatureException",
		"SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
		"InvalidToken", "AuthorizationHeaderMalformed",
	}
	expiredCodes = []string{
		"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired", "RequestTimeTooSkewed",
	}
	throttleCodes = []string{
		"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
		"TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "ProvisionedThroughputExceededException",
	}
	missingCodes = []string{
		"NoSuchBucket", "NoSuchKey", "NotFound", "ResourceNotFound", "ResourceNotFoundException", "NotFoundException",
	}
)

// call names a request to AWS for the error it may end in.
type call struct {
	doing  string // the operation in the user's words: "start training job x"
	action string // the permission it needs: "sagemaker:CreateTrainingJob"
}

// fault turns what the SDK returned into the error a user meets. Cancellation
// stays what it is.
func (c call) fault(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.Newf(fault.Timeout, "%s: %w", c.doing, context.DeadlineExceeded).Hintf("allow more time, or look at the service's state")
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", c.doing, context.Canceled)
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return c.refused(err, api)
	}
	text := plain{innermost(err), err}
	if strings.Contains(err.Error(), "get credentials:") || strings.Contains(err.Error(), "refresh cached credentials") {
		return fault.Newf(fault.Denied, "%s: no AWS credentials: %w", c.doing, text).Hintf("%s", howToSignIn)
	}
	var network net.Error
	if errors.As(err, &network) {
		return fault.Newf(fault.Remote, "%s: %w", c.doing, text).
			Hintf("check the network, the proxy and the environment's region; then run it again")
	}
	return fault.Newf(fault.Remote, "%s: %w", c.doing, text).Hintf("run it again; what is already done is found and kept")
}

const howToSignIn = "give credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, " +
	"or in GitLab an id_token with AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN"

// refused classifies an answer of the service itself.
func (c call) refused(err error, api smithy.APIError) error {
	code := api.ErrorCode()
	text := plain{describe(api), err}
	newf := func(kind fault.Kind) *fault.Error { return fault.Newf(kind, "%s: %w", c.doing, text) }
	switch {
	case slices.Contains(credentialCodes, code):
		return newf(fault.Denied).Hintf("%s", howToSignIn)
	case slices.Contains(expiredCodes, code):
		return newf(fault.Denied).Hintf("sign in again, and check this machine's clock")
	case slices.Contains(deniedCodes, code), statusOf(err) == 403:
		return newf(fault.Denied).Hintf("allow %s to the role that runs towline", c.action)
	case slices.Contains(throttleCodes, code):
		return newf(fault.Remote).Hintf("AWS limits these requests; run it again in a few minutes")
	case code == "ResourceLimitExceeded" || code == "LimitExceededException":
		return newf(fault.Remote).Hintf("ask for a higher quota in Service Quotas, or choose another instance type")
	case code == "NoSuchBucket":
		return newf(fault.Missing).Hintf("create the environment's bucket, or correct it in towline.yaml")
	case slices.Contains(missingCodes, code):
		return newf(fault.Missing)
	case code == "ResourceInUse" || code == "ConflictException" || code == "OperationAborted":
		return newf(fault.Conflict).Hintf("another job works on it; run it again when that one is done")
	case code == "PermanentRedirect" || code == "IllegalLocationConstraintException":
		return newf(fault.Repository).Hintf("the bucket lies in another region: correct the environment's region or bucket")
	case code == "ValidationException" || code == "ValidationError":
		return newf(fault.Repository).Hintf("correct what towline.yaml says of it")
	case code == "UnknownOperationException":
		return newf(fault.Remote).Hintf("this endpoint does not offer %s", c.action)
	}
	return newf(fault.Remote).Hintf("run it again; what is already done is found and kept")
}

// plain is an SDK error without the SDK's own words.
type plain struct {
	text string
	err  error
}

func (p plain) Error() string { return p.text }
func (p plain) Unwrap() error { return p.err }

// describe is code and message, on one line.
func describe(api smithy.APIError) string {
	message := strings.Join(strings.Fields(api.ErrorMessage()), " ")
	if message == "" || message == api.ErrorCode() {
		return api.ErrorCode()
	}
	return api.ErrorCode() + ": " + message
}

// innermost is the text of the last error in the chain that still says what
// was done, such as "dial tcp 127.0.0.1:1: connect: connection refused".
func innermost(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Error()
	}
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return strings.Join(strings.Fields(err.Error()), " ")
		}
		err = next
	}
}

// statusOf is the HTTP status of the answer, or 0.
func statusOf(err error) int {
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// notFound recognises that a described resource does not exist. SageMaker says
// so with a ValidationException and a message.
func notFound(err error) bool {
	var missing *types.ResourceNotFound
	if errors.As(err, &missing) {
		return true
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	if slices.Contains(missingCodes, api.ErrorCode()) {
		return true
	}
	message := strings.ToLower(api.ErrorMessage())
	return strings.HasPrefix(api.ErrorCode(), "Validation") &&
		(strings.Contains(message, "could not find") || strings.Contains(message, "not found"))
}

// taken recognises that a name is in use already.
func taken(err error) bool {
	var used *types.ResourceInUse
	if errors.As(err, &used) {
		return true
	}
	var api smithy.APIError
	return errors.As(err, &api) && strings.HasPrefix(api.ErrorCode(), "Validation") &&
		strings.Contains(strings.ToLower(api.ErrorMessage()), "already exist")
}
