package lint_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"gitlab.com/towline/towline/pkg/lint"
)

func TestGitLabRules(t *testing.T) {
	one := func(text string) map[string]string { return map[string]string{".gitlab-ci.yml": text} }
	run(t, []ruleCase{
		{"a component without a version", "TL701", one("include:\n  component: gitlab.com/a/b\n"), "", []string{".gitlab-ci.yml:2"}},
		{"a component at this commit", "TL701", one("include:\n- component: $CI_SERVER_FQDN/$CI_PROJECT_PATH/a@$CI_COMMIT_SHA\n"), "", nil},
		{"part of a version", "TL701", one("include:\n- component: gitlab.com/a/b@1.2\n"), "", []string{".gitlab-ci.yml:2"}},
		{"a project at a tag", "TL701", one("include:\n- {project: a/b, ref: v1.0.0, file: c.yml}\n"), "", nil},
		{"a project without ref", "TL701", one("include:\n- {project: a/b, file: c.yml}\n"), "", []string{".gitlab-ci.yml:2"}},
		{"local files and templates", "TL701", one("include:\n- local: a.yml\n- template: Jobs/SAST.gitlab-ci.yml\n- b.yml\n"), "", nil},
		{"an address with a commit", "TL701", one("include: https://x.example/raw/" + strings.Repeat("0a", 20) + "/a.yml\n"), "", nil},
		{"an address", "TL701", one("include:\n- https://x.example/raw/main/a.yml\n"), "", []string{".gitlab-ci.yml:2"}},
		{"a value filled in later", "TL701", one("include:\n- component: $[[ inputs.where ]]\n"), "", nil},
		{"a file of another kind", "TL701", map[string]string{"docs/ci.yml": "include:\n- {project: a/b, file: c.yml}\n"}, "", nil},
		{"an input that is missing, and an option that there is not", "TL702", map[string]string{
			".gitlab-ci.yml":           "include:\n- component: $CI_SERVER_FQDN/$CI_PROJECT_PATH/a@$CI_COMMIT_SHA\n  inputs: {kind: c}\n",
			"templates/a/template.yml": "spec:\n  inputs:\n    must: {type: string}\n    kind: {options: [a, b], default: a}\n---\na: {script: [b]}\n",
		}, "", []string{".gitlab-ci.yml:2", ".gitlab-ci.yml:3"}},
		{"a variable as image", "TL703", one("a: {image: $IMAGE, script: [b]}\n"), "", nil},
		{"an image of the registry with a variable as tag", "TL703", one("a: {image: 'x.example/a:$TAG', script: [b]}\n"), "", nil},
		{"the default's image, and a service", "TL703", one("default: {image: python}\na:\n  services:\n  - name: redis:latest\n  script: [b]\n"), "", []string{".gitlab-ci.yml:1", ".gitlab-ci.yml:4"}},
		{"an image by an anchor", "TL703", one(".a: &a {image: python}\nb:\n  <<: *a\n  script: [c]\n"), "", []string{".gitlab-ci.yml:1"}},
		{"the timeout of the job that is extended", "TL704", one(".a: {timeout: 1h}\nb: {extends: .a, id_tokens: {A: {aud: x}}}\n"), "", nil},
		{"the default's timeout", "TL704", one("default: {timeout: 1h}\nb: {id_tokens: {A: {aud: x}}}\n"), "", nil},
		{"a job that extends another file's", "TL704", one("b: {extends: .elsewhere, id_tokens: {A: {aud: x}}}\n"), "", nil},
		{"jobs that extend each other", "TL704", one("a: {extends: b, id_tokens: {A: {aud: x}}}\nb: {extends: a}\n"), "", []string{".gitlab-ci.yml:1"}},
		{"a secret in a rule, in its long form", "TL705", one("a:\n  script: [b]\n  rules:\n  - if: $X\n    variables:\n      API_TOKEN: {value: hunter2-hunter2}\n"), "", []string{".gitlab-ci.yml:6"}},
		{"a file and a placeholder", "TL705", one("variables: {API_TOKEN: /run/token, DB_PASSWORD: '********'}\n"), "", nil},
		{"artifacts of a job by its number", "TL706", one("a: {script: ['curl $U/jobs/$ID/artifacts/raw/a']}\n"), "", nil},
		{"a download by a branch", "TL706", one("a:\n  script:\n  - |\n    set -e\n    curl $U/projects/7/jobs/artifacts/main/download?job=train\n"), "", []string{".gitlab-ci.yml:5"}},
		{"depth for all jobs", "TL707", one("variables: {GIT_DEPTH: 0}\na: {script: [git describe]}\n"), "", nil},
		{"history is fetched", "TL707", one("a: {script: [git fetch --unshallow, git describe]}\n"), "", nil},
		{"a package of that name", "TL707", one("a: {script: [npm install semantic-release-x]}\n"), "", nil},
		{"quotes within quotes", "TL708", one("a:\n  script:\n  - echo \"A=\\\"1\\\"\" >> b.env\n  - echo 'A=\"1\"' >> ./b.env\n  - echo A=1 > b.env\n  - echo \"\" >> b.env\n  - echo '#' >> other.txt\n  - echo \"$LINES\" >> b.env\n  artifacts: {reports: {dotenv: b.env}}\n"), "", []string{".gitlab-ci.yml:3", ".gitlab-ci.yml:4", ".gitlab-ci.yml:6"}},
		{"the whole environment", "TL708", one("a:\n  script: ['env > b.env']\n  artifacts: {reports: {dotenv: [b.env]}}\n"), "", []string{".gitlab-ci.yml:2"}},
		{"a child that waits for nobody", "TL709", map[string]string{".gitlab-ci.yml": "a: {trigger: {strategy: depend, include: child.yml}}\n", "child.yml": "b: {script: [c]}\n"}, "", nil},
		{"a child that blocks", "TL709", map[string]string{".gitlab-ci.yml": "a: {trigger: {strategy: depend, include: [{local: /child.yml}]}}\n", "child.yml": "b: {script: [c], rules: [{when: manual}]}\n"}, "", []string{".gitlab-ci.yml:1"}},
		{"stopping production", "TL710", one("a: {environment: {name: production, action: stop}, script: [b]}\n"), "", nil},
		{"production behind a manual job", "TL710", one("ask: {when: manual, script: [a]}\nb: {environment: prod, needs: [ask], script: [c]}\n"), "", nil},
		{"production by its tier", "TL710", one("b: {environment: {name: eu, deployment_tier: production}, script: [c]}\n"), "", []string{".gitlab-ci.yml:1"}},
		{"a review app", "TL711", one("b: {environment: {name: review/$CI_COMMIT_REF_SLUG}, script: [c]}\n"), "", nil},
		{"references are not followed", "TL703", one("a:\n  image: !reference [.x, image]\n  script:\n  - !reference [.x, script]\n  - - b\n    - c\n"), "", nil},
		{"no pipeline at all", "TL703", one("- a\n- b\n"), "", nil},
		{"no YAML", "TL703", one("a: [\n"), "", nil},
	})
}

func TestAirflowRules(t *testing.T) {
	dag := func(text string) map[string]string {
		return map[string]string{"dags/a.py": "from airflow import DAG\n" + text + "\nwith DAG(\"a\"):\n    pass\n"}
	}
	run(t, []ruleCase{
		{"a client within a task", "TL751", dag("import boto3\n\ndef f():\n    boto3.client(\"s3\")\n"), "", nil},
		{"a client at the top", "TL751", dag("import boto3\ns3 = boto3.client(\"s3\")\n"), "", []string{"dags/a.py:3"}},
		{"a client within a class", "TL751", dag("import boto3\nclass A:\n    s3 = boto3.client(\"s3\")\n"), "", []string{"dags/a.py:4"}},
		{"a lambda is called later", "TL751", dag("import boto3\nf = lambda: boto3.client(\"s3\")\n"), "", nil},
		{"under the main guard", "TL751", dag("import boto3\nif __name__ == \"__main__\":\n    boto3.client(\"s3\")\n"), "", nil},
		{"no DAG in the file", "TL751", map[string]string{"a.py": "import airflow\nimport boto3\nboto3.client(\"s3\")\n"}, "", nil},
		{"settings of another file", "TL752", dag("from common import settings\nx = dict(default_args=settings)\n"), "", nil},
		{"a dict of defaults", "TL753", dag("from airflow.utils.dates import days_ago\ndefaults = {\"start_date\": days_ago(1)}\n"), "", []string{"dags/a.py:3"}},
	})
}

func FuzzPipeline(f *testing.F) {
	f.Add("a: &a {extends: a, script: [*a]}\n<<: [*a, *a]\n")
	f.Add("spec: {inputs: {a: }}\n---\nb: {environment: {name: prod}, needs: [{job: b}]}\n")
	f.Add("a: {script: ['echo \"A=\\\"\" >> b'], artifacts: {reports: {dotenv: b}}}")
	f.Fuzz(func(t *testing.T, text string) {
		repo := fstest.MapFS{".gitlab-ci.yml": {Data: []byte(text)}, "Dockerfile": {Data: []byte(text)}, "requirements.txt": {Data: []byte(text)}, "pyproject.toml": {Data: []byte(text)}, "uv.lock": {Data: []byte(text)}}
		if _, err := lint.Run(t.Context(), lint.Options{FS: repo, Profile: lint.Production}); err != nil {
			t.Fatal(err)
		}
	})
}
