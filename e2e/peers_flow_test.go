//go:build peers

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// useComponents publishes the templates as the component project does.
func (w *towns) useComponents() {
	w.t.Helper()
	w.push(towlineAt, "feat: components", func(folder string) {
		if err := os.CopyFS(filepath.Join(folder, "templates"), os.DirFS("../templates")); err != nil {
			w.t.Fatal(err)
		}
	})
	w.git(filepath.Join(w.dir, "work", towlineAt.path), "tag", "1.0.0")
	w.git(filepath.Join(w.dir, "work", towlineAt.path), "push", "-q", "origin", "1.0.0")
}

// useModel commits the example, with its environments in this cloud.
func (w *towns) useModel(pipeline string) {
	w.t.Helper()
	w.push(modelAt, "feat: tell malignant from benign tumours", func(folder string) {
		if err := copyTracked(folder, "../examples/breast-cancer"); err != nil {
			w.t.Fatal(err)
		}
		file := filepath.Join(folder, "towline.yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			w.t.Fatal(err)
		}
		w.write(file, w.here(string(text)))
		w.write(filepath.Join(folder, ".gitlab-ci.yml"), pipeline)
	})
}

// here puts this machine's addresses where others stand in files and pages.
func (w *towns) here(text string) string {
	return strings.NewReplacer(
		"public.ecr.aws/docker/library/python:3.11-slim", "scratch",
		"444455556666.dkr.ecr.eu-west-1.amazonaws.com", w.registry.host,
		"https://gitlab.example.com", w.site.URL,
		"gitlab.example.com", strings.TrimPrefix(w.site.URL, "http://"),
	).Replace(text)
}

const trustInGitLab = `{
  "providers": [{"url": "https://gitlab.example.com", "account": "444455556666", "client_ids": ["https://gitlab.example.com"]}],
  "roles": [{"arn": "arn:aws:iam::444455556666:role/towline-deploy", "trust": {"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::444455556666:oidc-provider/gitlab.example.com"},
    "Action": "sts:AssumeRoleWithWebIdentity",
    "Condition": {"StringEquals": {"gitlab.example.com:aud": "https://gitlab.example.com"},
      "StringLike": {"gitlab.example.com:sub": [
        "project_path:platform/models:ref_type:branch:ref:main", "project_path:science/diagnosis:ref_type:branch:ref:main"]}}}]}}]
}`

func TestFlowTwoProjects(t *testing.T) {
	w := newTowns(t)
	w.useComponents()
	w.startCloud(w.here(trustInGitLab), "example-models-prod")
	w.useModel(`include:
  - component: $CI_SERVER_FQDN/towline/towline/model-trigger@1.0.0
    inputs: {project: platform/models, env: prod}
`)
	w.push(platformAt, "feat: a pipeline", func(folder string) {
		w.write(filepath.Join(folder, ".gitlab-ci.yml"), `include:
  - component: $CI_SERVER_FQDN/towline/towline/mlops-pipeline@1.0.0
    inputs: {env: prod}
`)
	})
	up := w.newPipeline(modelAt, "push", nil)
	up.run(nil, up.automatic("trigger")...)
	at, variables := up.bridge(t, "trigger")
	down := w.newPipeline(at, "pipeline", variables)
	down.run(nil, down.automatic()...)
	down.run(nil, "deploy")
	up.run(nil, "tag")
	t.Log(w.said.String())
}
