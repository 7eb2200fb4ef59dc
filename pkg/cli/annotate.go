package cli

import (
	"path/filepath"
	"strings"

	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/record"
	"gitlab.com/towline/towline/pkg/report"
	"gitlab.com/towline/towline/pkg/workspace"
)

// annotationsFile is the report by which GitLab shows links on the job's page.
const annotationsFile = "annotations.json"

// annotate writes the links for the page of the job, if there are any. Outside
// of a job there is no such page.
func (a *app) annotate(o opened, rec record.Record) error {
	if _, inJob := a.job(); !inJob {
		return nil
	}
	links := a.links(o, rec)
	if len(links) == 0 {
		return nil
	}
	dir := o.workspace.Reports(o.manifest, rec.Model)
	return workspace.WriteFile(filepath.Join(dir, annotationsFile), report.Annotations("Towline: "+rec.Model, links))
}

// links lead to what is known of a release: in AWS's console, and at GitLab.
func (a *app) links(o opened, rec record.Record) []report.Link {
	var all []report.Link
	add := func(label, address string) {
		if address != "" {
			all = append(all, report.Link{Label: label, URL: address})
		}
	}
	if rec.Verdict != nil {
		add("Report", a.artifact(filepath.Join(o.workspace.Reports(o.manifest, rec.Model), "gate.html")))
	}
	if o.local {
		return all // its pages are on this machine only, and for as long as the job
	}
	console := cloud.Console{Region: o.Region}
	if t := rec.Training; t != nil {
		add("Training job "+t.Job, console.Training(t.Job))
		add("Log of the training", console.TrainingLog(t.Job))
	}
	if i := rec.Image; i != nil && i.Repository != "" {
		add("Image", console.Image(i.Repository, i.Digest))
	}
	if e := rec.Endpoint; e != nil {
		add("Endpoint "+e.Name, console.Endpoint(e.Name))
		add("Log of the endpoint", console.EndpointLog(e.Name))
	}
	return all
}

// artifact is the page of a file that the job leaves; "" of one that it cannot.
func (a *app) artifact(file string) string {
	job, _ := a.job()
	project, err := filepath.EvalSymlinks(a.getenv("CI_PROJECT_DIR"))
	if err != nil || job.ProjectURL == "" || job.ID == "" {
		return ""
	}
	rel, err := filepath.Rel(project, file)
	if err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	return job.ProjectURL + "/-/jobs/" + job.ID + "/artifacts/file/" + strings.ReplaceAll(filepath.ToSlash(rel), " ", "%20")
}
