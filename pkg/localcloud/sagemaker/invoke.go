package sagemaker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"time"

	"gitlab.com/towline/towline/pkg/localcloud/protocol"
)

const (
	invocationLimit = 60 * time.Second
	briefly         = 20 * time.Second // how long a request waits for a server that crashed
	maxPayload      = 25 << 20
	maxResponse     = 25 << 20
)

// The headers of an invocation.
const (
	customHeader    = "X-Amzn-SageMaker-Custom-Attributes"
	inferenceHeader = "X-Amzn-SageMaker-Inference-Id"
	variantHeader   = "X-Amzn-SageMaker-Target-Variant"
	invokedHeader   = "X-Amzn-Invoked-Production-Variant"
)

// Runtime answers InvokeEndpoint: POST /endpoints/<name>/invocations.
func (s *Service) Runtime() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/endpoints/"), "/")
		if rest != "invocations" || r.Method != http.MethodPost {
			writeRuntimeError(w, protocol.UnknownOperation("sagemaker-runtime", r.Method+" "+rest), nil)
			return
		}
		body, err := protocol.Body(r, maxPayload)
		if err != nil {
			writeRuntimeError(w, err, nil)
			return
		}
		if err := s.invoke(w, r, name, body); err != nil {
			var broken modelError
			errors.As(err, &broken)
			writeRuntimeError(w, err, &broken)
		}
	})
}

// modelError is a model that did not answer well.
type modelError struct {
	status  int    // what the server answered; 0 if it did not
	said    string // by the server
	message string
	cause   error
}

func (e modelError) Error() string { return e.message }
func (e modelError) Unwrap() error { return e.cause }

func (s *Service) invoke(w http.ResponseWriter, r *http.Request, name string, body []byte) error {
	s.mu.Lock()
	d := s.serving[name]
	s.mu.Unlock()
	var f *fleet
	if d != nil {
		f = d.enter()
	}
	if f == nil {
		return protocol.Errorf("ValidationError", "Endpoint %s of account %s not found.", name, s.o.Account)
	}
	defer f.leave()
	srv, err := f.choose(r.Header.Get(variantHeader))
	if err != nil {
		return err
	}
	resp, answer, err := srv.answer(r, body)
	if err != nil {
		return err
	}
	header := w.Header()
	for _, name := range []string{"Content-Type", customHeader} {
		if value := resp.Header.Get(name); value != "" {
			header.Set(name, value)
		}
	}
	header.Set(invokedHeader, srv.v.Name)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(answer) // a client that went away is not told
	return nil
}

// choose picks a variant by its weight, or the one that was asked for.
func (f *fleet) choose(target string) (*server, error) {
	total := 0.0
	for _, srv := range f.servers {
		if srv.v.Name == target {
			return srv, nil
		}
		total += srv.v.Weight
	}
	if target != "" {
		return nil, protocol.Errorf("ValidationError", "Variant %s was not found in endpoint configuration %s.", target, f.release.Config)
	}
	if total <= 0 {
		return nil, protocol.Errorf("ValidationError", "No variant of endpoint configuration %s takes requests: every weight is 0.", f.release.Config)
	}
	at := rand.Float64() * total
	for _, srv := range f.servers {
		if at -= srv.v.Weight; at < 0 {
			return srv, nil
		}
	}
	return f.servers[len(f.servers)-1], nil
}

// answer asks the server when it is ready. A server that went away before it
// took the request is asked again when it is back.
func (v *server) answer(r *http.Request, body []byte) (*http.Response, []byte, error) {
	const tries = 3
	for try := 1; ; try++ {
		port, err := v.patiently(r.Context())
		if err != nil {
			return nil, nil, &protocol.Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: fmt.Sprintf("The server of variant %s does not answer: %v", v.v.Name, err)}
		}
		resp, answer, err := v.forward(r, port, body)
		if try == tries || !errors.Is(err, syscall.ECONNREFUSED) {
			return resp, answer, err
		}
		sleep(r.Context(), shortBackoff)
	}
}

// patiently waits for a server: briefly for one that answered before, and for
// one that is being started as long as it may take.
func (v *server) patiently(ctx context.Context) (int, error) {
	limit := v.startup()
	if v.answered() {
		limit = briefly
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return v.wait(ctx)
}

// forward hands a request to the server and reads its answer.
func (v *server) forward(r *http.Request, port int, body []byte) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(r.Context(), invocationLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address(port)+"/invocations", bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for _, name := range []string{"Content-Type", "Accept", customHeader, inferenceHeader} {
		if value := r.Header.Get(name); value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := v.s.client.Do(req)
	if err != nil {
		return nil, nil, v.noAnswer(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err != nil {
		return nil, nil, v.noAnswer(ctx, err)
	}
	if len(answer) > maxResponse {
		return nil, nil, modelError{message: fmt.Sprintf("Received server error (0) from primary with message \"the answer is larger than %d bytes\".", maxResponse)}
	}
	if resp.StatusCode/100 != 2 {
		who := "client"
		if resp.StatusCode >= http.StatusInternalServerError {
			who = "server"
		}
		said := excerpt(answer)
		return nil, nil, modelError{status: resp.StatusCode, said: said, message: fmt.Sprintf("Received %s error (%d) from primary with message \"%s\". See the log group /aws/sagemaker/Endpoints/%s in account %s for more information.",
			who, resp.StatusCode, said, v.endpoint, v.s.o.Account)}
	}
	return resp, answer, nil
}

func (v *server) noAnswer(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return modelError{message: "Received server error (0) from primary with message \"Your invocation timed out while waiting for a response from container primary. " +
			"Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again.\"."}
	}
	return modelError{message: fmt.Sprintf("Received server error (0) from primary with message \"%v\".", err), cause: err}
}

// excerpt is the beginning of what a server said.
func excerpt(answer []byte) string {
	const longest = 1024
	return strings.ToValidUTF8(string(answer[:min(len(answer), longest)]), "\uFFFD")
}

// writeRuntimeError answers in the form of the runtime, whose members begin
// with capitals.
func writeRuntimeError(w http.ResponseWriter, err error, broken *modelError) {
	if broken == nil || broken.message == "" {
		e := protocol.AsError(err)
		w.Header().Set("X-Amzn-Errortype", e.Code)
		protocol.WriteJSON(w, e.Status, map[string]string{"Message": e.Message})
		return
	}
	w.Header().Set("X-Amzn-Errortype", "ModelError")
	protocol.WriteJSON(w, http.StatusFailedDependency, map[string]any{
		"Message": broken.message, "OriginalStatusCode": broken.status, "OriginalMessage": broken.said, "LogStreamArn": "",
	})
}
