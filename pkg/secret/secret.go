// Package secret holds values that must not be seen.
//
// In comes a token or a password; out goes something that prints, formats and
// marshals as [redacted]. It never stores, fetches or logs one.
package secret

import "log/slog"

const redacted = "[redacted]"

// Value is a secret. Its zero value is an absent one.
type Value struct{ text string }

// New wraps a secret.
func New(text string) Value { return Value{text: text} }

// Reveal gives the secret itself, for the one place that must send it.
func (v Value) Reveal() string { return v.text }

// Empty says whether there is no secret.
func (v Value) Empty() bool { return v.text == "" }

func (v Value) String() string   { return redacted }
func (v Value) GoString() string { return redacted }

// LogValue keeps the secret out of structured logs.
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps the secret out of JSON, YAML and every other text form.
func (v Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }
