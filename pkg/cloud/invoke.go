package cloud

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

const (
	requestLimit    = 25 << 20 // bytes that InvokeEndpoint accepts
	predictionLimit = 4 << 10  // bytes of an answer that are kept
	predictionSaid  = 200      // bytes of it that are said
)

// Answer is what a served model replied.
type Answer struct {
	Body        []byte
	ContentType string
	Variant     string // which of the endpoint's models answered
}

// Invoke asks an endpoint for a prediction. An empty accept takes what comes.
func (c *Cloud) Invoke(ctx context.Context, endpoint, contentType, accept string, body io.Reader) (Answer, error) {
	request, err := io.ReadAll(io.LimitReader(body, requestLimit+1))
	if err != nil {
		return Answer{}, fault.Newf(fault.Missing, "read the request for endpoint %s: %w", endpoint, err).
			Hintf("check the request's file")
	}
	if len(request) > requestLimit {
		return Answer{}, fault.Newf(fault.Usage, "ask endpoint %s: the request is larger than %d MB", endpoint, requestLimit>>20).
			Hintf("send fewer rows at a time")
	}
	answer, err := c.runtime().InvokeEndpoint(ctx, &sagemakerruntime.InvokeEndpointInput{
		EndpointName: &endpoint, ContentType: text(contentType), Accept: text(accept), Body: request,
	})
	if err != nil {
		return Answer{}, unanswered(endpoint, err)
	}
	return Answer{
		Body:        answer.Body,
		ContentType: aws.ToString(answer.ContentType),
		Variant:     aws.ToString(answer.InvokedProductionVariant),
	}, nil
}

// unanswered tells a model that broke from an endpoint that is not there.
func unanswered(endpoint string, err error) error {
	var broke *types.ModelError
	if errors.As(err, &broke) {
		return fault.Newf(fault.Model, "ask endpoint %s: the model answered %d: %s", endpoint,
			aws.ToInt32(broke.OriginalStatusCode), readable([]byte(aws.ToString(broke.OriginalMessage)), predictionLimit)).
			Hintf("check the request, or the serving code; its log is in /aws/sagemaker/Endpoints/%s", endpoint)
	}
	request := call{"ask endpoint " + endpoint, "sagemaker:InvokeEndpoint"}
	if notFound(err) {
		return fault.Newf(fault.Missing, "%s: there is no such endpoint", request.doing).
			Hintf("deploy the model first: towline deploy")
	}
	var refused *types.ValidationError
	if errors.As(err, &refused) {
		return fault.Newf(fault.Remote, "%s: %s", request.doing, aws.ToString(refused.Message)).
			Hintf("look at the endpoint's state: towline status")
	}
	return request.fault(err)
}

// Smoke asks a fresh endpoint for the prediction of a request that is known to be good.
func (c *Cloud) Smoke(ctx context.Context, a plan.Smoke) (plan.Receipt, error) {
	file, err := os.Open(a.File)
	if err != nil {
		return plan.Receipt{}, fault.Newf(fault.Missing, "read the sample request: %w", err).
			Hintf("correct serve.sample in towline.yaml")
	}
	defer file.Close()
	answer, err := c.Invoke(ctx, a.Endpoint, a.ContentType, "", file)
	if err != nil {
		return plan.Receipt{}, err
	}
	prediction := readable(answer.Body, predictionLimit)
	return plan.Receipt{
		Yields: map[string]string{"prediction": prediction},
		Said:   "endpoint " + a.Endpoint + " answered " + readable([]byte(oneLine(prediction)), predictionSaid),
	}, nil
}

// readable is a body as text: trimmed, valid UTF-8, no longer than limit.
func readable(body []byte, limit int) string {
	start := body[:min(len(body), limit+utf8.UTFMax)]
	text := strings.TrimSpace(strings.ToValidUTF8(string(start), "\uFFFD"))
	if len(text) <= limit && len(start) == len(body) {
		return text
	}
	end := min(len(text), limit)
	for end > 0 && end < len(text) && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
