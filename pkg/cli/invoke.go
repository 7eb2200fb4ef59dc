package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/manifest"
	"gitlab.com/towline/towline/pkg/plan"
)

type invokeOptions struct {
	file, data, contentType, accept string
}

func newInvoke(a *app) *cobra.Command {
	var o invokeOptions
	cmd := &cobra.Command{
		Use:   "invoke",
		Short: "Ask the model's endpoint for a prediction",
		Long:  "Send a request to the endpoint: the manifest's sample, a file, or a text.",
		Example: "  towline invoke\n  towline invoke --file request.json\n" +
			"  towline invoke --data '{\"instances\": [[1, 2, 3]]}'\n  cat request.csv | towline invoke --file - --content-type text/csv",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runInvoke(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.file, "file", "", "file with the request; - for standard input")
	flags.StringVar(&o.data, "data", "", "the request itself")
	flags.StringVar(&o.contentType, "content-type", "", "of the request, application/json by default")
	flags.StringVar(&o.accept, "accept", "", "wanted of the answer, application/json by default")
	return cmd
}

func (a *app) runInvoke(ctx context.Context, o invokeOptions) error {
	// Read.
	if o.file != "" && o.data != "" {
		return fault.Newf(fault.Usage, "--file and --data: wanted one request, found two")
	}
	repo, d, _, err := a.survey()
	if err != nil {
		return err
	}
	model, err := a.oneModel(repo.manifest)
	if err != nil {
		return err
	}
	body, contentType, err := a.request(repo, model, o)
	if err != nil {
		return err
	}
	w, err := a.connect(ctx, d, repo.workspace, a.teller())
	if err != nil {
		return err
	}
	defer w.close()

	// Act.
	endpoint := plan.EndpointName(repo.manifest.Project, model.Name, d.name)
	answer, err := w.cloud.Invoke(ctx, endpoint, contentType, or(o.accept, "application/json"), bytes.NewReader(body))
	if err != nil {
		return err
	}

	// Tell.
	if a.output == "json" {
		return a.printJSON(map[string]string{
			"endpoint": endpoint, "variant": answer.Variant, "content_type": answer.ContentType, "body": string(answer.Body),
		})
	}
	_, err = a.stdout.Write(append(bytes.TrimRight(answer.Body, "\n"), '\n'))
	return err
}

// maxRequest is what SageMaker takes in real time, in bytes.
const maxRequest = 6 << 20

// request is the body to send, and its content type.
func (a *app) request(repo repository, model manifest.Model, o invokeOptions) ([]byte, string, error) {
	var sample manifest.Sample
	if model.Serve != nil && model.Serve.Sample != nil {
		sample = *model.Serve.Sample
	}
	contentType := or(o.contentType, sample.ContentType, "application/json")
	if o.data != "" {
		return []byte(o.data), contentType, nil
	}
	path := o.file
	if path == "" && sample.File != "" {
		path = filepath.Join(repo.root, model.Path, sample.File)
	}
	if path == "" {
		return nil, "", fault.Newf(fault.Usage, "invoke %s: no request", model.Name).
			Hintf("pass --file or --data, or name serve.sample.file in %s", manifest.File)
	}
	body, err := a.readLimited(path)
	if err != nil {
		return nil, "", err
	}
	return body, contentType, nil
}

// readLimited reads a request from a file or from standard input.
func (a *app) readLimited(path string) ([]byte, error) {
	source := a.stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, fault.Newf(fault.Missing, "read the request: %w", err)
		}
		defer file.Close()
		source = file
	}
	body, err := io.ReadAll(io.LimitReader(source, maxRequest+1))
	if err != nil {
		return nil, fault.Newf(fault.Missing, "read the request from %s: %w", path, err)
	}
	if len(body) > maxRequest {
		return nil, fault.Newf(fault.Usage, "read the request from %s: larger than 6 MiB, which is what an endpoint takes", path)
	}
	return body, nil
}

// or is the first text that is not empty.
func or(texts ...string) string {
	for _, text := range texts {
		if strings.TrimSpace(text) != "" {
			return text
		}
	}
	return ""
}
