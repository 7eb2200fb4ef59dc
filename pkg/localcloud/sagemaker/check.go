package sagemaker

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"gitlab.com/towline/towline/pkg/localcloud/protocol"
)

// The patterns and limits of the service model.
var (
	namePattern      = lazily(`^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$`)
	modelNamePattern = lazily(`^[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?$`)
	rolePattern      = lazily(`^arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$`)
	s3Pattern        = lazily(`^(https|s3)://([^/]+)/?(.*)$`)
	imagePattern     = lazily(`^\S+$`)
	instancePattern  = lazily(`^ml\.[a-z0-9\-]+\.[a-z0-9\-]+$`)
	channelPattern   = lazily(`^[A-Za-z0-9.\-_]+$`)
	variablePattern  = lazily(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	tagPattern       = lazily(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
	containsPattern  = lazily(`^[a-zA-Z0-9\-]+$`)
)

// pattern is compiled when it is first needed: the longest of them would cost
// every start of the program half a millisecond.
type pattern struct {
	text     string
	compiled func() *regexp.Regexp
}

func lazily(text string) *pattern {
	return &pattern{text: text, compiled: sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })}
}

const (
	maxName            = 63
	maxRole            = 2048
	maxURI             = 1024
	maxImage           = 255
	maxHyperparameters = 100
	maxEnvironment     = 100
	maxTags            = 50
	maxWords           = 100 // of an entrypoint, and of its arguments
	maxWord            = 256
)

func invalid(format string, args ...any) error {
	return protocol.Errorf("ValidationException", format, args...)
}

// checks collects everything that is wrong with a request, in AWS's words.
type checks struct{ list []string }

func (c *checks) fail(value any, path, constraint string) {
	shown := "null"
	if value != nil {
		shown = fmt.Sprintf("'%v'", value)
	}
	c.list = append(c.list, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s", shown, path, constraint))
}

func (c *checks) err() error {
	switch len(c.list) {
	case 0:
		return nil
	case 1:
		return invalid("1 validation error detected: %s", c.list[0])
	}
	return invalid("%d validation errors detected: %s", len(c.list), strings.Join(c.list, "; "))
}

// present says whether a required member is there.
func (c *checks) present(path string, there bool) bool {
	if !there {
		c.fail(nil, path, "Member must not be null")
	}
	return there
}

// text checks a required text.
func (c *checks) text(path, value string, most int, shape *pattern) {
	if c.present(path, value != "") {
		c.optional(path, value, most, shape)
	}
}

// optional checks a text that may be missing.
func (c *checks) optional(path, value string, most int, shape *pattern) {
	if value == "" {
		return
	}
	if utf8.RuneCountInString(value) > most {
		c.fail(value, path, fmt.Sprintf("Member must have length less than or equal to %d", most))
	}
	if shape != nil && !shape.compiled().MatchString(value) {
		c.fail(value, path, "Member must satisfy regular expression pattern: "+strings.Trim(shape.text, "^$"))
	}
}

// words checks a command line that may be missing.
func (c *checks) words(path string, line []string) {
	if line != nil {
		c.count(path, len(line), 1, maxWords)
	}
	for i, word := range line {
		c.optional(fmt.Sprintf("%s.%d.member", path, i+1), word, maxWord, nil)
	}
}

func (c *checks) oneOf(path, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		c.fail(value, path, "Member must satisfy enum value set: ["+strings.Join(allowed, ", ")+"]")
	}
}

// between checks a number that may be missing.
func (c *checks) between(path string, value *int, least, most int) {
	if value != nil && *value < least {
		c.fail(*value, path, fmt.Sprintf("Member must have value greater than or equal to %d", least))
	}
	if value != nil && *value > most {
		c.fail(*value, path, fmt.Sprintf("Member must have value less than or equal to %d", most))
	}
}

func (c *checks) count(path string, n, least, most int) {
	if n < least {
		c.fail(n, path, fmt.Sprintf("Member must have length greater than or equal to %d", least))
	}
	if n > most {
		c.fail(n, path, fmt.Sprintf("Member must have length less than or equal to %d", most))
	}
}

func (c *checks) environment(path string, env map[string]string, longest int) {
	c.count(path, len(env), 0, maxEnvironment)
	for name, value := range env {
		c.optional(path+"."+name+".key", name, longest, variablePattern)
		c.optional(path+"."+name+".value", value, longest, nil)
		if name == "" {
			c.fail(name, path, "Map keys must not be empty")
		}
	}
}

type tag struct {
	Key   string
	Value string
}

func (c *checks) tags(list []tag) {
	c.count("tags", len(list), 0, maxTags)
	seen := map[string]bool{}
	for i, t := range list {
		path := fmt.Sprintf("tags.%d.member", i+1)
		c.text(path+".key", t.Key, 128, tagPattern)
		c.optional(path+".value", t.Value, 256, tagPattern)
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			c.fail(t.Key, path+".key", "Member must not begin with the reserved prefix aws:")
		}
		if seen[t.Key] {
			c.fail(t.Key, path+".key", "Member must be unique: duplicate tag keys are not allowed")
		}
		seen[t.Key] = true
	}
}

// s3URI splits s3://bucket/key.
func s3URI(uri string) (bucket, key string, ok bool) {
	rest, ok := strings.CutPrefix(uri, "s3://")
	if !ok {
		return "", "", false
	}
	bucket, key, _ = strings.Cut(rest, "/")
	return bucket, key, bucket != ""
}
