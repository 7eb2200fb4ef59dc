package gitlab

import (
	"context"
	"io"
	"net/http"

	"gitlab.com/towline/towline/pkg/wire"
)

// PutPackage publishes a file of a generic package. The body is opened again
// for every attempt.
func (c *Client) PutPackage(ctx context.Context, name, version, file string, size int64, body func() (io.ReadCloser, error)) error {
	operation := "publish package " + name + " " + version
	first, err := body()
	if err != nil {
		return err
	}
	req, err := c.request(ctx, http.MethodPut, packagePath(name, version, file), first)
	if err != nil {
		return err
	}
	req.ContentLength, req.GetBody = size, body
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.wire.Do(req)
	if err != nil {
		return c.refused(ctx, operation, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostBody))
	if err == nil && resp.StatusCode/100 != 2 {
		err = &refusal{resp.StatusCode, said(text)}
	}
	return c.refused(ctx, operation, wire.Clean(err))
}
