package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"gitlab.com/towline/towline/pkg/secret"
)

const hidden = "glpat-hidden"

// holder is a struct that a secret is a part of.
type holder struct {
	Name  string
	Token secret.Value
	Next  *secret.Value
	inner secret.Value
}

func TestASecretIsNotSeen(t *testing.T) {
	token := secret.New(hidden)
	whole := holder{"job", token, &token, token}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("signed in", "token", token, "holder", whole)
	slog.New(slog.NewTextHandler(&log, nil)).Info("signed in", "token", token, "holder", whole)
	shown := map[string]string{"a log": log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown[verb] = fmt.Sprintf(verb, token)
		shown[verb+" of a struct"] = fmt.Sprintf(verb, whole)
		shown[verb+" of a list"] = fmt.Sprintf(verb, []secret.Value{token})
	}
	for name, marshal := range map[string]func(any) ([]byte, error){"JSON": json.Marshal, "YAML": yaml.Marshal, "XML": xml.Marshal} {
		text, err := marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		shown[name] = string(text)
	}
	hex := fmt.Sprintf("%x", hidden)
	for how, text := range shown {
		if strings.Contains(text, hidden) || strings.Contains(text, hex) || text == "" {
			t.Errorf("%s shows %q", how, text)
		}
	}
	if shown["%v"] != "[redacted]" {
		t.Errorf("a secret prints as %q", shown["%v"])
	}
}

func TestASecretCanBeSent(t *testing.T) {
	if got := secret.New(hidden).Reveal(); got != hidden {
		t.Errorf("Reveal() = %q", got)
	}
	if !(secret.Value{}).Empty() || secret.New(hidden).Empty() {
		t.Error("Empty() tells a secret from none the wrong way round")
	}
}
