package cloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/aws/smithy-go"

	"gitlab.com/towline/towline/pkg/fault"
)

// meaning is what codes of AWS errors say, and what a user can do about it.
// Services spell the same thing differently.
type meaning struct {
	kind  fault.Kind
	hint  string // {action} stands for the permission that the request needs
	codes []string
}

var meanings = []meaning{
	{fault.Denied, howToSignIn, []string{
		"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidSignatureException",
		"SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken",
		"MissingAuthenticationTokenException", "InvalidToken", "InvalidIdentityToken", "InvalidIdentityTokenException",
	}},
	{fault.Denied, "sign in again, and check this machine's clock", []string{
		"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired", "RequestTimeTooSkewed",
	}},
	{fault.Denied, mayNot, []string{
		"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AuthFailure", "Forbidden", "NotAuthorized",
		"UnauthorizedOperation", "OptInRequired",
	}},
	{fault.Remote, "AWS limits these requests; run it again in a few minutes", []string{
		"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
		"TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "ProvisionedThroughputExceededException",
	}},
	{fault.Remote, "ask for a higher quota in Service Quotas, or choose another instance type", []string{
		"ResourceLimitExceeded", "LimitExceededException",
	}},
	{fault.Remote, "this endpoint does not offer {action}", []string{"UnknownOperationException"}},
	{fault.Missing, "create the environment's bucket, or correct it in towline.yaml", []string{"NoSuchBucket"}},
	{fault.Missing, "check that it was not deleted, and the environment's region", missingCodes},
	{fault.Conflict, "another job works on it; run it again when that one is done", []string{
		"ResourceInUse", "ConflictException", "OperationAborted",
	}},
	{fault.Repository, "the bucket lies in another region: correct the environment's region or bucket", []string{
		"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException",
	}},
	{fault.Repository, "correct what towline.yaml says of it", []string{"ValidationException", "ValidationError"}},
}

var missingCodes = []string{
	"NoSuchKey", "NotFound", "ResourceNotFound", "ResourceNotFoundException", "NotFoundException",
}

const (
	howToSignIn = "give credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, " +
		"or in GitLab an id_token named AWS_ID_TOKEN"
	mayNot   = "allow {action} to the role that runs towline"
	tryAgain = "run it again; what is already done is found and kept"
	freeDisk = "free some disk space, and run it again"
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
	if why := cutOff(err); errors.Is(why, context.DeadlineExceeded) {
		return fault.Newf(fault.Timeout, "%s: %w", c.doing, why).Hintf("allow more time; what is already done is found and kept")
	} else if why != nil {
		return fmt.Errorf("%s: %w", c.doing, why)
	}
	if strings.Contains(err.Error(), "get credentials:") {
		return c.unknown(err)
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return c.refused(err, api)
	}
	return c.unreached(err)
}

// cutOff is the context's error if it was the context that ended the request.
// A connection that timed out calls itself a DeadlineExceeded too, and is none.
func cutOff(err error) error {
	var canceled interface{ CanceledError() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &canceled) && errors.Is(err, context.DeadlineExceeded), err == context.DeadlineExceeded: //nolint:errorlint // its likes are not meant
		return context.DeadlineExceeded
	}
	return nil
}

// unknown is an error on the way to credentials: there are none, a role may
// not be assumed, or the service that gives them is not reached.
func (c call) unknown(err error) error {
	var known *fault.Error
	var api smithy.APIError
	var network net.Error
	switch {
	case errors.As(err, &known):
		return fault.Newf(known.Kind, "%s: %w", c.doing, known)
	case errors.As(err, &api) && strings.Contains(err.Error(), "AssumeRole"):
		return fault.Newf(fault.Denied, "%s: assume the role: %w", c.doing, plain{describe(api), err}).
			Hintf("let the environment's role be assumed: sts:AssumeRole, and the role's trust policy")
	case errors.As(err, &network) && !strings.Contains(err.Error(), "EC2 IMDS"):
		return c.unreached(err)
	}
	return fault.Newf(fault.Denied, "%s: no AWS credentials: %w", c.doing, plain{innermost(err), err}).Hintf(howToSignIn)
}

// unreached is an error that no service answered.
func (c call) unreached(err error) error {
	hint := tryAgain
	if network := (net.Error)(nil); errors.As(err, &network) {
		hint = "check the network, the proxy and the environment's region; then run it again"
	}
	return fault.Newf(fault.Remote, "%s: %w", c.doing, plain{innermost(err), err}).Hintf("%s", hint)
}

// refused classifies an answer of the service itself.
func (c call) refused(err error, api smithy.APIError) error {
	kind, hint := meaningOf(err, api)
	return fault.Newf(kind, "%s: %w", c.doing, plain{describe(api), err}).
		Hintf("%s", strings.ReplaceAll(hint, "{action}", c.action))
}

func meaningOf(err error, api smithy.APIError) (fault.Kind, string) {
	for _, m := range meanings {
		if slices.Contains(m.codes, api.ErrorCode()) {
			return m.kind, m.hint
		}
	}
	switch {
	case statusOf(err) == http.StatusForbidden:
		return fault.Denied, mayNot
	case statusOf(err) == http.StatusInsufficientStorage:
		return fault.Remote, freeDisk
	}
	return fault.Remote, tryAgain
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
	message := oneLine(api.ErrorMessage())
	if message == "" || message == api.ErrorCode() {
		return api.ErrorCode()
	}
	return api.ErrorCode() + ": " + message
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

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
			return oneLine(err.Error())
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
	if slices.Contains(missingCodes, api.ErrorCode()) || api.ErrorCode() == "NoSuchBucket" {
		return true
	}
	message := strings.ToLower(api.ErrorMessage())
	return strings.HasPrefix(api.ErrorCode(), "Validation") &&
		(strings.Contains(message, "could not find") || strings.Contains(message, "not found"))
}

// taken recognises that a name is in use already.
func taken(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	if api.ErrorCode() == "ResourceInUse" {
		return true
	}
	return strings.HasPrefix(api.ErrorCode(), "Validation") &&
		strings.Contains(strings.ToLower(api.ErrorMessage()), "already exist")
}
