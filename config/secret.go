package config

import (
	"fmt"
	"log/slog"
)

// redacted stands for a secret wherever it would be shown.
const redacted = "[redacted]"

// Secret is a value that must not be shown. Every way of printing, encoding or
// logging it gives a placeholder; Reveal gives the value. The zero Secret is
// unset.
//
// The value stands behind a pointer because fmt cannot call the methods of an
// unexported field: printed inside somebody's struct, a plain string field would
// show.
type Secret struct{ value *string }

// NewSecret wraps a value; the empty string gives an unset Secret.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal is the value itself, empty when unset. Keep it out of logs and errors.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsSet reports whether there is a value.
func (s Secret) IsSet() bool { return s.value != nil }

// String is a placeholder, or empty when unset.
func (s Secret) String() string {
	if s.value == nil {
		return ""
	}
	return redacted
}

// Format writes the placeholder for every verb, so that %#v and %x tell nothing.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText encodes the placeholder; encoding/json uses it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML encodes the placeholder.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue logs the placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
