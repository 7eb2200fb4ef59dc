package lint

import (
	"strings"

	"gopkg.in/yaml.v3"
)

func jobRules() []Rule {
	return []Rule{{
		ID: "TL703", Name: "floating-image", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "images and services of jobs with the tag latest, or with none",
		Why:    "the GitLab template of aws-samples/sagemaker-custom-project-templates runs on python:latest and installs its packages in each job: every October that is another Python",
		Advice: "name a version, such as python:3.11-slim, or a digest",
		Bad:    Example{Files: ciFile("test:\n  image: python:latest\n  script: [pytest]\n"), At: ".gitlab-ci.yml:2"},
		Good:   Example{Files: ciFile("test:\n  image: python:3.11-slim\n  script: [pytest]\n")},
		File:   ci(floatingImages),
	}, {
		ID: "TL704", Name: "id-token-without-timeout", Severity: Minor,
		Looks:  "jobs with id_tokens and without timeout",
		Why:    "the token's life is the job's timeout, and five minutes where none is set: a training that assumes its role again after that is refused (GitLab docs, id_tokens, exp)",
		Advice: "set timeout in every job that has id_tokens",
		Bad:    Example{Files: ciFile("train:\n  id_tokens: {AWS: {aud: https://gitlab.example.com}}\n  script: [towline train]\n"), At: ".gitlab-ci.yml:2"},
		Good:   Example{Files: ciFile("train:\n  timeout: 3h\n  id_tokens: {AWS: {aud: https://gitlab.example.com}}\n  script: [towline train]\n")},
		File: ci(func(p *pipeline, r *Report) {
			for _, job := range p.jobs {
				tokens := key(job.node, "id_tokens")
				if tokens != nil && !strings.HasPrefix(job.name, ".") && job.key("timeout") == nil && !job.opaque() {
					p.node(r, tokens, "the token of %s lives for five minutes: the job sets no timeout", job.name)
				}
			}
		}),
	}, {
		ID: "TL705", Name: "secret-in-variables", Severity: Critical, In: map[Profile]Severity{Production: Blocker},
		Looks:  "variables in CI configuration that are named like secrets and hold a plain value",
		Why:    "CI configuration is read by everybody who reads the repository, and is never masked in logs; the AWS template that many begin with puts static keys there (aws-samples/sagemaker-custom-project-templates)",
		Advice: "define it in Settings > CI/CD > Variables, masked and protected, and change the value that was here; for AWS use id_tokens",
		Bad:    Example{Files: ciFile("variables:\n  AWS_SECRET_ACCESS_KEY: hunter2-hunter2\ntest:\n  script: [pytest]\n"), At: ".gitlab-ci.yml:2"},
		Good:   Example{Files: ciFile("variables:\n  AWS_SECRET_ACCESS_KEY: $TEAM_KEY\ntest:\n  script: [pytest]\n")},
		File:   ci(secretsInVariables),
	}, {
		ID: "TL706", Name: "artifacts-by-ref", Severity: Minor,
		Looks:  "needs:project, and downloads from /jobs/artifacts/<ref>/",
		Why:    "by ref one gets the last pipeline that succeeded, while the one that triggered is still running: the previous model is deployed as the new one (gitlab-org/gitlab#29979, #458836)",
		Advice: "hand over the job's id, and fetch that job's artifacts: /jobs/<id>/artifacts",
		Bad:    Example{Files: ciFile("deploy:\n  script: [towline deploy]\n  needs:\n    - {project: ml/model, job: train, ref: main, artifacts: true}\n"), At: ".gitlab-ci.yml:4"},
		Good:   Example{Files: ciFile("deploy:\n  script: [\"curl $CI_API_V4_URL/projects/7/jobs/$UPSTREAM_JOB_ID/artifacts\"]\n")},
		File:   ci(artifactsByRef),
	}}
}

func floatingImages(p *pipeline, r *Report) {
	look := func(n *yaml.Node) {
		for _, image := range items(n) {
			if name := key(image, "name"); name != nil {
				image = name
			}
			if why := floating(text(image)); why != "" {
				p.node(r, image, "the image %s %s", text(image), why)
			}
		}
	}
	owners := []*yaml.Node{p.root, key(p.root, "default")}
	for _, job := range p.jobs {
		owners = append(owners, job.node)
	}
	for _, owner := range owners {
		look(key(owner, "image"))
		look(key(owner, "services"))
	}
}

func secretsInVariables(p *pipeline, r *Report) {
	look := func(variables *yaml.Node) {
		for name, value := range entries(variables) {
			if inner := key(value, "value"); inner != nil {
				value = inner
			}
			if secretName(name.Value) && secretValue(text(value)) {
				p.node(r, name, "%s holds a secret in plain text", name.Value).hidden = true
			}
		}
	}
	look(key(p.root, "variables"))
	for _, job := range p.jobs {
		look(key(job.node, "variables"))
		for _, rule := range items(key(job.node, "rules")) {
			look(key(rule, "variables"))
		}
	}
}

func artifactsByRef(p *pipeline, r *Report) {
	for _, job := range p.jobs {
		for _, need := range items(key(job.node, "needs")) {
			if project := key(need, "project"); project != nil {
				p.node(r, need, "%s takes what the last pipeline of a branch left, not what the one that triggered it made", job.name)
			}
		}
		for _, c := range job.commands() {
			if strings.Contains(c.text, "/jobs/artifacts/") && (strings.Contains(c.text, "/download") || strings.Contains(c.text, "/raw/")) {
				r.At(p.file, c.line, 0, "%s takes what the last pipeline of a branch left", job.name)
			}
		}
	}
}
