package cli

import (
	"context"
	"path/filepath"
	"strings"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/localcloud"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/report"
	"gitlab.com/towline/towline/pkg/workspace"
)

// result is what a command tells in JSON.
type result struct {
	record.Record
	Prediction string `json:"prediction,omitempty"`
	Report     string `json:"report,omitempty"`

	Layers []bundle.Layer `json:"layers,omitempty"` // of the image, if they were asked for
}

// tellEnd writes the reports and prints what came out, also of a release that
// the gate refused. It returns the error that ended the plan.
func (a *app) tellEnd(o opened, c *courier, s stage, failed error) error {
	page := ""
	if err := a.annotate(o, c.rec); err != nil && failed == nil {
		failed = err
	}
	if c.rec.Verdict != nil {
		path, err := o.writeReports(c.rec)
		if err != nil && failed == nil {
			failed = err
		}
		page = path
	}
	layers, err := o.layers(c.rec, s, failed)
	if err != nil {
		return err
	}
	if a.output == "json" {
		if err := a.printJSON(result{Record: c.rec, Prediction: c.prediction, Report: page, Layers: layers}); err != nil && failed == nil {
			failed = err
		}
		return failed
	}
	a.printLayers(layers)
	if !s.whole || failed != nil && c.rec.Verdict == nil {
		return failed
	}
	report.Summary(a.stdout, c.rec, report.Style{
		Color:      a.color(),
		Prediction: c.prediction, Report: page, Next: o.next(c.rec, failed),
	})
	return failed
}

// writeReports writes the pages about the verdict and returns the path of the
// one for people, relative to the repository.
func (o opened) writeReports(rec record.Record) (string, error) {
	dir := o.workspace.Reports(o.manifest, rec.Model)
	page := filepath.Join(dir, "gate.html")
	for _, file := range []struct {
		path string
		body []byte
	}{
		{page, report.HTML(rec)},
		{filepath.Join(dir, "gate.md"), []byte(report.Markdown(rec))},
		{filepath.Join(dir, "gate.xml"), report.JUnit(*rec.Verdict)},
		{filepath.Join(dir, "metrics.txt"), report.Metrics(rec)},
	} {
		if err := workspace.WriteFile(file.path, file.body); err != nil {
			return "", err
		}
	}
	shown, err := filepath.Rel(o.root, page)
	if err != nil {
		return page, nil
	}
	return shown, nil
}

// next are the commands that a user may want now.
func (o opened) next(rec record.Record, failed error) []string {
	if failed != nil || rec.Endpoint == nil {
		return []string{"towline status"}
	}
	if o.world != nil && o.world.started {
		return []string{"towline local up --detach   keep the endpoint up", "towline invoke   ask it again"}
	}
	return []string{"towline invoke   ask it again", "towline status   see what serves"}
}

// joinLocal reaches the local cloud if one runs, and is nil otherwise.
func (a *app) joinLocal(ctx context.Context, ws *workspace.Workspace, t *teller) (*world, error) {
	running, ok := localcloud.Find(ws.Local())
	if !ok {
		return nil, nil
	}
	t.detail("joined the local cloud at %s", running.URL)
	return a.connectLocal(ctx, running.URL, t, func() {})
}

// pin gives the function that finds the digest of a base image.
func (w *world) pin(d destination) pinner {
	if d.local && d.localBase == "" {
		return nil
	}
	return w.bundler.ResolveBase
}

// pinOnDisk is pin without a world: only a base that lies on this disk can be pinned.
func (a *app) pinOnDisk(d destination, t *teller) (pinner, error) {
	if !d.local || !strings.HasPrefix(d.localBase, "oci:") {
		return nil, nil
	}
	b, err := a.newBundler(t, nil)
	if err != nil {
		return nil, err
	}
	return b.ResolveBase, nil
}
