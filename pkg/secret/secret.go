// Package secret holds values that must not be seen.
//
// In comes a token or a password; out goes something that prints, formats and
// marshals as [redacted]. It never stores, fetches or logs one.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Value is a secret. Its zero value is an absent one. The text lies behind a
// pointer, because fmt looks through fields that are not exported.
type Value struct{ text *string }

// New wraps a secret.
func New(text string) Value { return Value{text: &text} }

// Reveal gives the secret itself, for the one place that must send it.
func (v Value) Reveal() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

// Empty says whether there is no secret.
func (v Value) Empty() bool { return v.Reveal() == "" }

func (v Value) String() string { return redacted }

// Format keeps the secret out of every verb of fmt.
func (v Value) Format(out fmt.State, _ rune) { _, _ = io.WriteString(out, redacted) }

// LogValue keeps the secret out of structured logs.
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps the secret out of JSON, YAML and every other text form.
func (v Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }
