package lint

import (
	"regexp"
	"strings"
	"sync"
)

func scriptRules() []Rule {
	return []Rule{{
		ID: "TL707", Name: "shallow-history", Severity: Minor,
		Looks:  "jobs that compute a version from git's history without GIT_DEPTH: \"0\"",
		Why:    "GitLab clones the last 20 commits: git describe finds no tag there and fails, or counts from the wrong one (GitLab docs, shallow cloning)",
		Advice: `set GIT_DEPTH: "0" for the job; towline version needs it not: it fetches what it lacks`,
		Bad:    Example{Files: ciFile("version:\n  script:\n    - git describe --tags > version.txt\n"), At: ".gitlab-ci.yml:3"},
		Good:   Example{Files: ciFile("version:\n  variables: {GIT_DEPTH: \"0\"}\n  script:\n    - git describe --tags > version.txt\n")},
		File:   ci(shallowHistory),
	}, {
		ID: "TL708", Name: "dotenv-by-echo", Severity: Major, In: map[Profile]Severity{Prototype: Minor},
		Looks:  "lines that scripts write into a dotenv report and that GitLab's parser refuses, or takes literally",
		Why:    "one line that is not NAME=value fails the upload with `400 Bad Request (Invalid Format)` and the job with it, and quotes become part of the value (gitlab-org/gitlab#356650, gitlab-org/gitlab-runner#29151)",
		Advice: "write NAME=value: no quotes, no export, no comments, no blank lines",
		Bad:    Example{Files: ciFile("build:\n  script:\n    - echo '# made by CI' >> build.env\n  artifacts: {reports: {dotenv: build.env}}\n"), At: ".gitlab-ci.yml:3"},
		Good:   Example{Files: ciFile("build:\n  script:\n    - echo \"VERSION=$V\" >> build.env\n  artifacts: {reports: {dotenv: build.env}}\n")},
		File:   ci(dotenvByEcho),
	}}
}

var historyCommand = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(^|[\s;&|($"'` + "`" + `])(git describe|git rev-list --count|semantic-release|git-cliff|standard-version|cz (bump|changelog)|python3? -m setuptools_scm|gitversion)(\s|$|[;&|)"'` + "`" + `])`)
})

func shallowHistory(p *pipeline, r *Report) {
	for _, job := range p.jobs {
		if strings.HasPrefix(job.name, ".") || job.opaque() || text(job.variable("GIT_DEPTH")) == "0" {
			continue
		}
		for _, c := range job.commands() {
			if strings.Contains(c.text, "--unshallow") || strings.Contains(c.text, "git clone") || strings.HasPrefix(c.text, "git fetch") {
				break
			}
			if found := historyCommand().FindStringSubmatch(c.text); found != nil && !strings.Contains(c.text, "--dry-run") {
				r.At(p.file, c.line, 0, "%s reads a history that the job does not have", found[2])
				break
			}
		}
	}
}

// echoInto takes `echo [-e] words > file` apart.
var echoInto = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:^|[;&|]\s*)(echo|printf|env|printenv|export -p)(?:\s+-[eE]\b)?\s*([^;&|]*?)\s*>>?\s*["']?([^\s"';&|]+)["']?\s*$`)
})

func dotenvByEcho(p *pipeline, r *Report) {
	for _, job := range p.jobs {
		reports := map[string]bool{}
		for _, report := range items(key(job.key("artifacts"), "reports", "dotenv")) {
			if name := text(report); name != "" {
				reports[strings.TrimPrefix(name, "./")] = true
			}
		}
		if len(reports) == 0 {
			continue
		}
		for _, c := range job.commands() {
			found := echoInto().FindStringSubmatch(c.text)
			if found == nil || !reports[strings.TrimPrefix(found[3], "./")] {
				continue
			}
			if why := badDotenv(found[1], found[2]); why != "" {
				r.At(p.file, c.line, 0, "%s", why)
			}
		}
	}
}

// badDotenv says what is wrong with what a program writes into a dotenv report, or "".
func badDotenv(program, argument string) string {
	switch program {
	case "env", "printenv", "export -p":
		return "all variables are written: values of several lines, and more than GitLab takes"
	case "printf":
		return ""
	}
	return badLine(argument)
}

// badLine says what is wrong with the line that echo writes, or "".
func badLine(argument string) string {
	quote, inner := "", argument
	if len(argument) > 1 && (argument[0] == '"' || argument[0] == '\'') && argument[len(argument)-1] == argument[0] {
		quote, inner = argument[:1], argument[1:len(argument)-1]
	}
	line := strings.TrimSpace(strings.ReplaceAll(inner, `\"`, "\x01"))
	name, value, assigned := strings.Cut(line, "=")
	if assigned {
		switch {
		case strings.HasPrefix(name, "export "):
			return "export is written in front of the name, which GitLab refuses"
		case keepsQuotes(quote, value):
			return "quotes are written, which become part of the value"
		}
		return ""
	}
	switch {
	case line == "":
		return "a blank line is written, which GitLab refuses"
	case strings.HasPrefix(line, "#"):
		return "a comment is written, which GitLab refuses"
	case quote != "" && !strings.ContainsAny(line, "$`"):
		return "a line without = is written, which GitLab refuses"
	}
	return ""
}

// keepsQuotes says whether a value begins with quotes that the shell leaves
// there; an escaped one is the byte 1.
func keepsQuotes(quote, value string) bool {
	return strings.HasPrefix(value, "\x01") || quote == "'" && strings.HasPrefix(value, `"`) || quote == `"` && strings.HasPrefix(value, "'")
}
