package record

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"gitlab.com/towline/towline/pkg/fault"
)

// What GitLab takes of a dotenv report (app/services/ci/parse_dotenv_artifact_service.rb):
// fewer than 5,120 bytes, and of the variables at least 20; 15 leaves room for a job's own.
const (
	envSize = 5120
	envKeys = 15
)

// EnvPrefix begins the names of all variables of the dotenv form.
const EnvPrefix = "TOWLINE_"

var (
	envPrefix = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Z][A-Z0-9_]*_$`) })
	envValue  = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[^\s$"'` + "`" + `\\\x00-\x1f\x7f]([^$"'` + "`" + `\\\x00-\x1f\x7f]*[^\s$"'` + "`" + `\\\x00-\x1f\x7f])?$`)
	})
)

// Prefix begins the variables of one of several models: TOWLINE_URL_RISK_ for url-risk.
func Prefix(model string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(model, "-", "_")) + "_"
}

// Env is the record's dotenv form, one NAME=value a line, for GitLab's
// artifacts:reports:dotenv. What is not known has no line. No name is that of
// a variable that Towline or its components read themselves, such as
// TOWLINE_IMAGE.
func (r Record) Env(prefix string) ([]byte, error) {
	if !envPrefix().MatchString(prefix) {
		return nil, fault.Newf(fault.Bug, "write %s: %q begins no variable's name", EnvFile, prefix)
	}
	var text bytes.Buffer
	lines := 0
	for _, v := range r.variables() {
		if v.value == "" {
			continue
		}
		if !envValue().MatchString(v.value) {
			return nil, fault.Newf(fault.Repository,
				"write %s: %s%s would be %.80q, which GitLab does not take", EnvFile, prefix, v.name, v.value).
				Hintf("use names without spaces at the ends, quotes, backslashes and dollar signs")
		}
		fmt.Fprintf(&text, "%s%s=%s\n", prefix, v.name, v.value)
		lines++
	}
	if text.Len() >= envSize || lines > envKeys {
		return nil, fault.Newf(fault.Repository, "write %s: %d lines of %d bytes in all, GitLab takes less than %d bytes",
			EnvFile, lines, text.Len(), envSize).
			Hintf("shorten the names of the bucket, the registry and the models")
	}
	return text.Bytes(), nil
}

type variable struct{ name, value string }

func (r Record) variables() []variable {
	list := []variable{
		{"VERSION", r.Version.Version},
		{"CANDIDATE", r.Candidate},
		{"BASE", r.Base},
		{"RELEASED", strconv.FormatBool(r.Released)},
		{"IDENTITY", r.Identity},
		{"COMMIT", r.Source.Commit},
	}
	if r.Image != nil {
		if r.Image.Repository != "" {
			list = append(list, variable{"IMAGE_URI", r.Image.Repository + "@" + r.Image.Digest})
		}
		list = append(list, variable{"IMAGE_DIGEST", r.Image.Digest})
	}
	if r.Training != nil {
		list = append(list, variable{"TRAINING_JOB", r.Training.Job}, variable{"MODEL_DATA", r.Training.ModelData})
	}
	if r.Verdict != nil {
		list = append(list, variable{"VERDICT", r.Verdict.word()})
	}
	if r.Endpoint != nil {
		list = append(list, variable{"ENDPOINT", r.Endpoint.Name})
	}
	return list
}

func (v Verdict) word() string {
	if v.Passed {
		return "passed"
	}
	return "refused"
}
