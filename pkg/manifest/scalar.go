package manifest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"
)

// DurationPattern is what a duration looks like: whole hours, minutes and seconds.
const DurationPattern = `^([0-9]{1,6}[hms])+$`

var durationText = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(DurationPattern) })

// String is the duration as the manifest writes it, such as 90s, 15m or 1h30m.
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText writes what String says, in JSON and YAML alike.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a text such as 90s, 15m or 1h30m.
func (d *Duration) UnmarshalText(text []byte) error {
	if !durationText().Match(text) {
		return fmt.Errorf("%s is not a duration, wanted one such as 90s, 15m or 1h30m", quoted(string(text)))
	}
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%s is not a duration: %w", quoted(string(text)), err)
	}
	*d = Duration(parsed)
	return nil
}

// UnmarshalYAML reads a duration from a node.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	parsed, err := parseDuration(n)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*d = parsed
	return nil
}

func parseDuration(n *yaml.Node) (Duration, error) {
	if !plain(n) {
		return 0, fmt.Errorf("found %s, wanted a duration such as 90s, 15m or 1h30m", found(n))
	}
	var d Duration
	err := d.UnmarshalText([]byte(n.Value))
	return d, err
}

// UnmarshalYAML keeps each value as the text that stands in the file.
func (s *Scalars) UnmarshalYAML(n *yaml.Node) error {
	r := newReader()
	r.keys[""] = Key{Pattern: wordPattern, Takes: wordTakes}
	r.readScalars(n, s, place{})
	if len(r.problems) > 0 {
		return fmt.Errorf("line %d: %s", r.problems[0].Line, r.problems[0].Message)
	}
	return nil
}

// UnmarshalJSON keeps numbers and booleans as the text that stands in the file.
func (s *Scalars) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*s = Scalars{}
	for name, value := range raw {
		text := string(value)
		switch text[0] {
		case '"':
			if err := json.Unmarshal(value, &text); err != nil {
				return err
			}
		case '{', '[', 'n':
			return fmt.Errorf("%s: found %s, wanted text, a number, true or false", quoted(name), quoted(text))
		}
		(*s)[name] = text
	}
	return nil
}
