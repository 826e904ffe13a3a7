package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPseudonymsDependOnKeyKindAndSecretOnly(t *testing.T) {
	a, b := NewHasher(testKey(t)), NewHasher(testKey(t))
	other, err := NewKey([]byte("another key of the tests"))
	if err != nil {
		t.Fatal(err)
	}
	c := NewHasher(other)
	seen := map[string]string{}
	// More secrets than the cache has slots, twice, so that some are forgotten.
	for range 2 {
		for i := range 3 * hashSlots {
			secret := []byte(fmt.Sprintf("secret-%d", i))
			got := string(a.Append(nil, KindUser, secret))
			if len(got) != PseudonymLen || !isPseudonym([]byte(got)) {
				t.Fatalf("pseudonym %q is not %d hex digits", got, PseudonymLen)
			}
			if was, ok := seen[got]; ok && was != string(secret) {
				t.Fatalf("%s and %s share a pseudonym", was, secret)
			}
			seen[got] = string(secret)
			if again := string(b.Append(nil, KindUser, secret)); again != got {
				t.Fatalf("two hashers under one key give %s and %s", got, again)
			}
		}
	}
	secret := []byte("same")
	user := string(a.Append(nil, KindUser, secret))
	if user == string(a.Append(nil, KindSession, secret)) || user == string(a.Append(nil, KindCredential, secret)) {
		t.Error("kinds share a pseudonym")
	}
	if user == string(c.Append(nil, KindUser, secret)) {
		t.Error("keys share a pseudonym")
	}
	if testKey(t).ID() == other.ID() {
		t.Error("keys share an id")
	}
}

func TestKeysDoNotPrintTheirSecret(t *testing.T) {
	key := testKey(t)
	for _, s := range []string{fmt.Sprint(key), fmt.Sprintf("%v %+v %#v %s", key, key, key, key)} {
		if strings.Contains(s, "only the tests") || strings.Contains(s, string(key.secret)) {
			t.Errorf("key prints as %s", s)
		}
	}
}

func TestLoadKeyPrefersTheFileAndWarnsWithoutAKey(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("key in a file, long enough\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WEIR_TEST_KEY", "key in the environment")
	file, err := LoadKey(path, "WEIR_TEST_KEY", log)
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := NewKey([]byte("key in a file, long enough")); file.ID() != want.ID() {
		t.Error("the key is not the file's")
	}
	env, err := LoadKey("", "WEIR_TEST_KEY", log)
	if err != nil || env.ID() == file.ID() {
		t.Errorf("key from the environment: %v, %v", env, err)
	}
	if out.Len() > 0 {
		t.Errorf("warned with a key at hand: %s", &out)
	}
	t.Setenv("WEIR_TEST_KEY", "")
	one, err1 := LoadKey("", "WEIR_TEST_KEY", log)
	two, err2 := LoadKey("", "WEIR_TEST_KEY", log)
	if err := errors.Join(err1, err2); err != nil || one.ID() == two.ID() {
		t.Errorf("random keys %v and %v, %v", one, two, err)
	}
	if !strings.Contains(out.String(), "level=WARN") {
		t.Errorf("no warning about a random key: %s", &out)
	}
	t.Setenv("WEIR_TEST_KEY", "short")
	if _, err := LoadKey("", "WEIR_TEST_KEY", log); !errors.Is(err, ErrShortKey) {
		t.Errorf("short key: %v", err)
	}
	if _, err := LoadKey(path+"x", "", log); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}
