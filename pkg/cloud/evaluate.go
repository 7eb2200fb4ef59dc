package cloud

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/plan"
)

const (
	evaluationLimit = 32 << 20 // bytes of evaluation.json: a million residuals
	archiveLimit    = 16 << 30 // bytes unpacked that are read to find it
	archiveNames    = 10       // files named when it is not there
)

// Evaluate reads what the training measured out of its output archive.
func (c *Cloud) Evaluate(ctx context.Context, a plan.Evaluate) (plan.Receipt, error) {
	at, err := object(a.OutputData.String())
	if err != nil {
		return plan.Receipt{}, err
	}
	archive, err := c.s3().GetObject(ctx, &s3.GetObjectInput{Bucket: &at.bucket, Key: &at.key})
	if notFound(err) {
		return plan.Receipt{}, unmeasured(a.File, nil)
	}
	request := call{"read the evaluation from " + at.String(), readS3}
	if err != nil {
		return plan.Receipt{}, request.fault(err)
	}
	defer archive.Body.Close()

	body, err := pick(archive.Body, a.File)
	if known := (*fault.Error)(nil); errors.As(err, &known) {
		return plan.Receipt{}, err
	}
	if err != nil {
		return plan.Receipt{}, request.fault(err)
	}
	found, err := ParseEvaluation(a.File, body)
	if err != nil {
		return plan.Receipt{}, err
	}
	found.TestData, found.DataName = a.TestData, a.Channel
	text, err := json.Marshal(found)
	if err != nil {
		return plan.Receipt{}, fault.Newf(fault.Bug, "write the evaluation: %w", err)
	}
	return plan.Receipt{
		Yields:  map[string]string{"evaluation": string(text)},
		Section: found,
		Said:    said(found.Metrics),
	}, nil
}

// pick streams a tar.gz to the file of that name. An error that is no fault is
// one of the connection or of the archive.
func pick(archive io.Reader, name string) ([]byte, error) {
	unpacked, err := gzip.NewReader(archive)
	if err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: unpacked, N: archiveLimit}
	files := tar.NewReader(limited)
	var seen []string
	for {
		header, err := files.Next()
		if limited.N <= 0 {
			return nil, fault.Newf(fault.Model, "find %s in the training's output: it is not in the first %d GB", name, archiveLimit>>30).
				Hintf("write less to /opt/ml/output/data")
		}
		if errors.Is(err, io.EOF) {
			return nil, unmeasured(name, seen)
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if path.Clean(header.Name) == path.Clean(name) {
			return whole(files, name)
		}
		if len(seen) < archiveNames {
			seen = append(seen, path.Clean(header.Name))
		}
	}
}

// whole reads one file of the archive.
func whole(file io.Reader, name string) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(file, evaluationLimit+1))
	if err == nil && len(body) > evaluationLimit {
		return nil, fault.Newf(fault.Model, "read %s: it is larger than %d MB", name, evaluationLimit>>20).
			Hintf("write metrics and a matrix or a sample of the residuals to it, and no data")
	}
	return body, err
}

// unmeasured is the error of a training that wrote no evaluation.
func unmeasured(name string, seen []string) error {
	err := fault.Newf(fault.Model, "read %s: the training did not write it", name).
		Hintf("write it to /opt/ml/output/data (SM_OUTPUT_DATA_DIR) in the training code")
	if len(seen) > 0 {
		return err.With("found there: " + strings.Join(seen, ", "))
	}
	return err
}

const metricsSaid = 6

// said puts the metrics on one line.
func said(metrics map[string]float64) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		if len(list) == metricsSaid {
			list = append(list, fmt.Sprintf("and %d more", len(metrics)-metricsSaid))
			break
		}
		list = append(list, name+" "+strconv.FormatFloat(metrics[name], 'g', 4, 64))
	}
	return strings.Join(list, ", ")
}
