package ingest

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
)

// minKey is the shortest pseudonym key accepted, bytes.
const minKey = 16

// ErrShortKey says that a pseudonym key has fewer than 16 bytes.
var ErrShortKey = errors.New("pseudonym key is shorter than 16 bytes")

// Key is the secret under which pseudonyms are made. It prints as its id.
type Key struct {
	id     string
	secret []byte
}

// NewKey makes a key of at least 16 secret bytes, which it copies.
func NewKey(secret []byte) (Key, error) {
	if len(secret) < minKey {
		return Key{}, ErrShortKey
	}
	// The id is derived from the key, so that nobody has to hand out ids and two
	// keys never share one by mistake.
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("weir pseudonym key id"))
	return Key{id: hex.EncodeToString(mac.Sum(nil)[:4]), secret: bytes.Clone(secret)}, nil
}

// RandomKey makes a key that nobody else has.
func RandomKey() (Key, error) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return Key{}, fmt.Errorf("making a pseudonym key: %w", err)
	}
	return NewKey(secret)
}

// ID names the key without revealing it: eight hex digits. Pseudonyms made under
// different ids cannot be compared.
func (k Key) ID() string { return k.id }

// IsZero tells whether k is no key at all.
func (k Key) IsZero() bool { return len(k.secret) == 0 }

// String keeps the secret out of logs.
func (k Key) String() string { return "key " + k.id }

// GoString keeps the secret out of logs.
func (k Key) GoString() string { return k.String() }

// LoadKey reads the pseudonym key: from the file if path is set, else from the
// environment variable named env if that is set and not empty, else it makes a
// random one and warns on log that pseudonyms will not survive a restart. Line
// breaks and spaces around the key are not part of it. A key shorter than 16
// bytes is ErrShortKey.
func LoadKey(path, env string, log *slog.Logger) (Key, error) {
	var secret []byte
	switch {
	case path != "":
		b, err := os.ReadFile(path)
		if err != nil {
			return Key{}, fmt.Errorf("reading the pseudonym key: %w", err)
		}
		secret = b
	case env != "" && os.Getenv(env) != "":
		secret = []byte(os.Getenv(env))
	default:
		log.Warn("no pseudonym key configured: pseudonyms of users and credentials change at every start and differ between processes",
			"environment", env)
		return RandomKey()
	}
	key, err := NewKey(bytes.TrimSpace(secret))
	if err != nil && path != "" {
		return Key{}, fmt.Errorf("reading the pseudonym key from %s: %w", path, err)
	}
	if err != nil {
		return Key{}, fmt.Errorf("reading the pseudonym key from $%s: %w", env, err)
	}
	return key, nil
}
