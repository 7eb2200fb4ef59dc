package gitlab

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/wire"
)

// PutPackage publishes a file of a generic package. Where the project allows
// no file twice, one that is there with the same bytes is this one.
func (c *Client) PutPackage(ctx context.Context, name, version string, f File) error {
	operation := fmt.Sprintf("publish package %s %s, %s of %d bytes", name, version, f.Name, f.Size)
	err := c.put(ctx, packagePath(name, version, f.Name), f)
	if statusOf(err) == http.StatusBadRequest && strings.Contains(err.Error(), "Duplicate") {
		return c.duplicate(ctx, operation, name, version, f, err)
	}
	return c.explain(ctx, publishing, operation, err)
}

// duplicate is what it means that a file of that name is there.
func (c *Client) duplicate(ctx context.Context, operation, name, version string, f File, refused error) error {
	kept, err := c.packageFile(ctx, "generic", name, version, f.Name)
	if err != nil {
		return c.explain(ctx, publishing, operation, err)
	}
	if kept == f.SHA256 {
		return nil
	}
	return fault.Newf(fault.Conflict, "%s: %s is there with other bytes: %w", operation, f.Name, refused).
		Hintf("allow duplicates of generic packages, or except %s (Group settings, Packages and registries, Duplicate packages)", name)
}

// put sends a file.
func (c *Client) put(ctx context.Context, path string, f File) error {
	first, err := f.Open()
	if err != nil {
		return err
	}
	req, err := c.request(ctx, http.MethodPut, path, first)
	if err != nil {
		return err
	}
	req.ContentLength, req.GetBody = f.Size, f.Open
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.wire.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostBody))
	if err == nil && resp.StatusCode/100 != 2 {
		err = refusalOf(resp, text)
	}
	return wire.Clean(err)
}

// packageFile is the SHA-256 of the newest file of that name in a package; ""
// for none.
func (c *Client) packageFile(ctx context.Context, kind, name, version, file string) (string, error) {
	var packages []struct {
		ID      int64  `json:"id"`
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	query := url.Values{"package_type": {kind}, "package_name": {name}, "package_version": {version}, "per_page": {"100"}}
	if err := c.call(ctx, http.MethodGet, "/packages?"+query.Encode(), nil, &packages); err != nil {
		return "", err
	}
	digest := ""
	for _, p := range packages {
		if p.Name != name || p.Version != version { // the filter finds parts of names too
			continue
		}
		var files []struct {
			Name   string `json:"file_name"`
			SHA256 string `json:"file_sha256"`
		}
		path := "/packages/" + strconv.FormatInt(p.ID, 10) + "/package_files?per_page=100"
		if err := c.call(ctx, http.MethodGet, path, nil, &files); err != nil {
			return "", err
		}
		for _, f := range files {
			if f.Name == file {
				digest = f.SHA256
			}
		}
	}
	return digest, nil
}
