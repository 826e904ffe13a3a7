package ingest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-dev/weir/schemas"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestFormatsMatchTheirGoldenFiles reads testdata/<format>.log and compares each
// line's event, or refusal, with the line of <format>.golden.json.
func TestFormatsMatchTheirGoldenFiles(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			a := testAdapter(t, name, Options{Gateway: "gw-1"})
			var got bytes.Buffer
			ev := schemas.NewEvent()
			for _, line := range goldenLines(t, name) {
				ev.Reset()
				if err := a.Parse(line, ev); err != nil {
					de, ok := errors.AsType[*schemas.DecodeError](err)
					if !ok {
						t.Fatalf("parsing %s: %v is no DecodeError", line, err)
					}
					fmt.Fprintf(&got, "{\"refused\":%q,\"field\":%q}\n", de.Reason, de.Field)
					continue
				}
				got.Write(ev.AppendJSON(nil))
				got.WriteByte('\n')
			}
			path := filepath.Join("testdata", name+".golden.json")
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
				t.Errorf("events differ (-want +got):\n%s", diff)
			}
		})
	}
}

// goldenLines are the sample lines of a format.
func goldenLines(t testing.TB, name string) [][]byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
}

// TestNoSecretLeavesAnAdapter: every secret of the samples contains "s3cr3t",
// base64 of it in the Basic credentials.
func TestNoSecretLeavesAnAdapter(t *testing.T) {
	for _, name := range Names() {
		a := testAdapter(t, name, Options{})
		seen := 0
		ev := schemas.NewEvent()
		for _, line := range goldenLines(t, name) {
			ev.Reset()
			if err := a.Parse(line, ev); err != nil {
				if strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("%s: error holds a secret: %v", name, err)
				}
				continue
			}
			if bytes.Contains(line, []byte("s3cr3t")) {
				seen++
			}
			for _, out := range []string{canonicalJSON(ev), string(ev.AppendProto(nil))} {
				if strings.Contains(out, "s3cr3t") || strings.Contains(out, "czNjcjN0") {
					t.Errorf("%s: event holds a secret: %q", name, out)
				}
			}
		}
		if seen == 0 && name != FormatEPA {
			t.Errorf("%s: no sample holds a secret", name)
		}
	}
}
