package wire

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// retrier is the transport: retryablehttp's loop with rules of its own.
type retrier struct{ Options }

// RoundTrip sends a request whose body can be had again as often as is
// allowed, and any other one once.
func (r *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := req.Clone(req.Context())
	if sent.Header.Get("User-Agent") == "" && r.UserAgent != "" {
		sent.Header.Set("User-Agent", r.UserAgent)
	}
	hasBody := req.Body != nil && req.Body != http.NoBody
	if hasBody && req.GetBody == nil {
		return r.Base.RoundTrip(sent)
	}
	again := &retryablehttp.Request{Request: sent}
	if hasBody {
		if err := req.Body.Close(); err != nil {
			return nil, err
		}
		length := req.ContentLength
		if err := again.SetBody(retryablehttp.ReaderFunc(func() (io.Reader, error) { return req.GetBody() })); err != nil {
			return nil, err
		}
		again.ContentLength = length
	}
	resp, err := r.client(sent).Do(again)
	if err != nil {
		if resp != nil {
			_ = resp.Body.Close()
		}
		return nil, bare(err)
	}
	return resp, nil
}

// client is the loop for one request.
func (r *retrier) client(req *http.Request) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport:     r.Base,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		RetryMax:     r.Attempts - 1,
		RetryWaitMin: r.MinWait,
		RetryWaitMax: r.MaxWait,
		CheckRetry: func(ctx context.Context, resp *http.Response, err error) (bool, error) {
			return r.worthwhile(ctx, req, resp, err)
		},
		Backoff:      r.wait,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

// worthwhile says whether the request is to be sent again.
func (r *retrier) worthwhile(ctx context.Context, req *http.Request, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	log := r.Log.With("method", req.Method, "host", req.URL.Host, "path", req.URL.Path)
	if err != nil {
		// The library knows which errors last: certificates, schemes, headers.
		retry, lasting := retryablehttp.DefaultRetryPolicy(ctx, resp, err)
		if !retry || badRedirect(err) || !repeatable(req) && !unsent(err) {
			return false, lasting
		}
		log.DebugContext(ctx, "trying again", "error", Clean(err))
		return true, nil
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		// The service has not begun with it.
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		if !repeatable(req) {
			return false, nil
		}
	default:
		return false, nil
	}
	if asked, ok := retryAfter(resp); ok && asked > r.RetryAfter {
		return false, nil
	}
	log.DebugContext(ctx, "trying again", "status", resp.StatusCode)
	return true, nil
}

// badRedirect says whether the answer was a redirect to what is no address;
// net/http gives no type to that error.
func badRedirect(err error) bool {
	return strings.Contains(err.Error(), "failed to parse Location header")
}

// repeatable says whether a request that was carried out may be carried out
// once more. A POST or PATCH may if it has one of the headers by which
// net/http knows them too; an empty one is not sent.
func repeatable(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	_, marked := req.Header["Idempotency-Key"]
	_, alsoMarked := req.Header["X-Idempotency-Key"]
	return marked || alsoMarked
}

// unsent says whether the connection was never made.
func unsent(err error) bool {
	var broke *net.OpError
	return errors.As(err, &broke) && broke.Op == "dial"
}

// wait is how long to wait before the next attempt: what the service asks for,
// else a time that doubles, of which chance takes up to a half.
func (r *retrier) wait(least, most time.Duration, attempt int, resp *http.Response) time.Duration {
	if asked, ok := retryAfter(resp); ok {
		return asked
	}
	wait := most
	if attempt < 16 && least<<attempt < most {
		wait = least << attempt
	}
	return wait - time.Duration(rand.Int64N(int64(wait)/2+1)) //nolint:gosec // it only spreads requests
}

// retryAfter is the wait that a service asks for, in seconds or as a date.
func retryAfter(resp *http.Response) (time.Duration, bool) {
	if resp == nil {
		return 0, false
	}
	text := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(time.Until(at), 0), true
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		return rateLimitReset(resp.Header.Get("RateLimit-Reset"))
	}
	return 0, false
}

// firstMoment is after what counts as a number of seconds to wait, and before
// what counts as a moment in Unix time.
const firstMoment = 1_000_000_000

// rateLimitReset is the wait until a limit begins anew, for services that give
// it in place of Retry-After: a moment in Unix time, as GitLab does, or seconds.
func rateLimitReset(text string) (time.Duration, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || n < 0 || n > 100*firstMoment:
		return 0, false
	case n < firstMoment:
		return time.Duration(n) * time.Second, true
	}
	return max(time.Until(time.Unix(n, 0)), 0), true
}
