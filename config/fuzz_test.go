package config

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Whatever the file holds, reading it ends in a configuration or in errors, and
// what was accepted prints as something that is accepted again.
func FuzzFile(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	read := func(data []byte) (*Config, error) {
		c, found := Default(), new(problems)
		r := &fileReader{schema: newSchema(), config: c, name: "fuzz.yml", found: found}
		r.read(data)
		return c, found.err()
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := read(data)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := c.Print(&out, true); err != nil {
			t.Fatal(err)
		}
		if _, err := read(out.Bytes()); err != nil {
			t.Fatalf("printed configuration is refused: %v\n%s", err, out.String())
		}
	})
}

func FuzzSize(f *testing.F) {
	for _, seed := range []string{"64MiB", "0B", "1GiB", "-1KiB", "9999999999GiB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseSize(text)
		if err != nil {
			return
		}
		if back, err := ParseSize(n.String()); err != nil || back != n || n < 0 {
			t.Errorf("%q is %d, written %s, read as %d: %v", text, int64(n), n, int64(back), err)
		}
	})
}
