package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/cli"
)

// manifests are repositories that init --ci writes pipelines for.
var manifests = map[string]string{
	"one model": "models:\n  - {name: risk, train: {command: [python, train.py]}}\n",
	"several models": "models:\n  - {name: spam, path: models/spam, shared: [libs/a], train: {command: [python, train.py]}}\n" +
		"  - {name: fraud, path: models/fraud, train: {command: [python, train.py]}}\n",
}

const manifestFrame = "apiVersion: towline/v1\nproject: shop\n%MODELS%environments:\n  prod: {region: eu-west-1, bucket: shop-models, " +
	"execution_role: \"arn:aws:iam::111111111111:role/sagemaker\", registry: registry.example.com}\n"

// What init --ci writes is a pipeline that GitLab takes, of every kind, in
// either way to include, for one model and for several, and on GitLab Free and
// older GitLabs; and it asks an older one for nothing that it does not know.
func TestInitCIWritesPipelines(t *testing.T) {
	schema := ciSchema(t)
	for _, kind := range []string{"one-project", "upstream", "downstream"} {
		for _, include := range []string{"component", "project"} {
			for models, text := range manifests {
				for _, server := range []string{"16.11", "17.11.2", "18.2", "18.9"} {
					t.Run(strings.Join([]string{kind, include, models, server}, " "), func(t *testing.T) {
						t.Parallel()
						written := initCI(t, text, "--ci="+kind, "--include", include, "--gitlab", server, "--free", "--downstream", "platform/models")
						g := ourGitLab()
						g.projects["shop/model"] = t.TempDir()
						config, err := g.renderText("shop/model", ".gitlab-ci.yml", []byte(written), nil)
						if err != nil {
							t.Fatalf("%v in\n%s", err, written)
						}
						all := withExtends(t, config)
						if err := schema.Validate(any(visible(all))); err != nil {
							t.Error(err)
						}
						for _, problem := range examine(config, gitlabStages) {
							t.Error(problem)
						}
						for job, body := range all {
							for keyword, version := range since {
								if newer(t, version, majorMinor(server)) && mentions(body, keyword) {
									t.Errorf("job %s uses %s, which came with %s", job, keyword, version)
								}
							}
						}
						if t.Failed() {
							t.Log(written)
						}
					})
				}
			}
		}
	}
}

// majorMinor are the first two numbers of a version.
func majorMinor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return parts[0] + "." + parts[1]
}

// initCI is what the command writes.
func initCI(t *testing.T, models string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	manifest := strings.Replace(manifestFrame, "%MODELS%", models, 1)
	if err := os.WriteFile(filepath.Join(dir, "towline.yaml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	code := cli.Main(cli.Process{Args: append([]string{"init", "-C", dir}, flags...), Stdout: &told, Stderr: &told, Version: "1.2.3"})
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, told.String())
	}
	text, err := os.ReadFile(filepath.Join(dir, ".gitlab-ci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
