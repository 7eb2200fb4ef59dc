package lint

import (
	"strings"

	"gopkg.in/yaml.v3"
)

func deploymentRules() []Rule {
	return []Rule{{
		ID: "TL709", Name: "waits-for-ever", Severity: Minor,
		Looks:  "trigger jobs with strategy: depend",
		Why:    "a manual job that blocks downstream leaves the trigger job running until somebody presses the button, or for ever (gitlab-org/gitlab#450849); mirror came with GitLab 18.2 for that",
		Advice: "use strategy: mirror",
		Bad:    Example{Files: ciFile("ship:\n  trigger:\n    project: ml/ops\n    strategy: depend\n"), At: ".gitlab-ci.yml:4"},
		Good:   Example{Files: ciFile("ship:\n  trigger:\n    project: ml/ops\n    strategy: mirror\n")},
		File:   ci(waitsForEver),
	}, {
		ID: "TL710", Name: "unattended-production", Severity: Minor, In: map[Profile]Severity{Prototype: Off, Production: Major},
		Looks:  "jobs that deploy to production without waiting for anybody",
		Why:    "Knight Capital lost 460 million dollars in 45 minutes by a deployment that nobody had looked at a second time (SEC, release 34-70694, 2013)",
		Advice: "add when: manual to the job's rules, or protect the environment and ask for approval there",
		Bad:    Example{Files: ciFile("deploy:\n  environment: production\n  script: [towline deploy]\n"), At: ".gitlab-ci.yml:2"},
		Good:   Example{Files: ciFile("deploy:\n  environment: production\n  rules: [{when: manual}]\n  script: [towline deploy]\n")},
		File:   ci(unattendedProduction),
	}, {
		ID: "TL711", Name: "overlapping-deployments", Severity: Minor, In: map[Profile]Severity{Prototype: Off},
		Looks:  "jobs that deploy without resource_group",
		Why:    "of two pipelines the older one may deploy last and put the old model back: GitLab's page on deployment safety begins with that",
		Advice: "add resource_group, with one name for each environment",
		Bad:    Example{Files: ciFile("deploy:\n  environment: dev\n  script: [towline deploy]\n"), At: ".gitlab-ci.yml:2"},
		Good:   Example{Files: ciFile("deploy:\n  environment: dev\n  resource_group: dev\n  script: [towline deploy]\n")},
		File: ci(func(p *pipeline, r *Report) {
			for _, job := range p.jobs {
				name, at := deploysTo(job)
				if name != "" && job.key("resource_group") == nil && !job.opaque() {
					p.node(r, at, "two pipelines may deploy to %s at a time", name)
				}
			}
		}),
	}}
}

func waitsForEver(p *pipeline, r *Report) {
	for _, job := range p.jobs {
		strategy := key(job.node, "trigger", "strategy")
		if text(strategy) != "depend" {
			continue
		}
		for _, item := range items(key(job.node, "trigger", "include")) {
			f, _ := includedFile(p.file.Repo, item)
			if f == nil {
				if f, _ = p.file.Repo.File(strings.TrimPrefix(text(item), "/")); f == nil {
					continue
				}
			}
			if child := readPipeline(f); child != nil && !child.blocks() {
				return // the child is here, and waits for nobody
			}
		}
		p.node(r, strategy, "%s does not end while a manual job waits downstream", job.name)
	}
}

// blocks says whether a manual job holds the pipeline up.
func (p *pipeline) blocks() bool {
	for _, job := range p.jobs {
		for _, rule := range items(job.key("rules")) {
			if text(key(rule, "when")) == "manual" && text(key(rule, "allow_failure")) != "true" {
				return true
			}
		}
		if text(job.key("when")) == "manual" && text(job.key("allow_failure")) == "false" {
			return true
		}
	}
	return false
}

// deploysTo is the environment that a job deploys to, and where it says so.
func deploysTo(job ciJob) (name string, at *yaml.Node) {
	environment := key(job.node, "environment")
	if environment == nil || strings.HasPrefix(job.name, ".") {
		return "", nil
	}
	if environment.Kind == yaml.ScalarNode {
		return text(environment), environment
	}
	if action := text(key(environment, "action")); action != "" && action != "start" {
		return "", nil
	}
	name = text(key(environment, "name"))
	if strings.HasPrefix(name, "review/") {
		return "", nil // one for each branch
	}
	return name, environment
}

func unattendedProduction(p *pipeline, r *Report) {
	for _, job := range p.jobs {
		name, at := deploysTo(job)
		if !strings.HasPrefix(strings.ToLower(name), "prod") && text(key(job.node, "environment", "deployment_tier")) != "production" {
			continue
		}
		if name != "" && !job.opaque() && !job.waits() {
			p.node(r, at, "%s deploys to %s, and nobody is asked", job.name, name)
		}
	}
}

// waits says whether somebody has to start the job, or one that it needs.
func (j ciJob) waits() bool {
	if manual(j) {
		return true
	}
	for _, need := range items(key(j.node, "needs")) {
		name := text(need)
		if job := key(need, "job"); job != nil {
			name = text(job)
		}
		for _, other := range j.in.jobs {
			if other.name == name && manual(other) {
				return true
			}
		}
	}
	return false
}

func manual(j ciJob) bool {
	if text(j.key("when")) == "manual" {
		return true
	}
	for _, rule := range items(j.key("rules")) {
		if text(key(rule, "when")) == "manual" || rule.Tag == "!reference" {
			return true
		}
	}
	return false
}
