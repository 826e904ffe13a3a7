package clickhousefront

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestBodySurvivesEveryEncoding(t *testing.T) {
	want := strings.Repeat("some rows of data\n", 70_000)
	for _, encoding := range []string{"", "gzip", "deflate", "br", "zstd", "lz4"} {
		for _, method := range []string{"-", "", "LZ4", "ZSTD", "NONE"} {
			data, blocks := []byte(want), method != "-"
			var err error
			if blocks {
				if data, err = compressBlocks(data, method); err != nil {
					t.Fatal(err)
				}
			}
			var sent bytes.Buffer
			if err := encodeResponse(&sent, data, encoding); err != nil {
				t.Fatal(err)
			}
			r, err := requestBody(&sent, encoding, blocks)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || string(got) != want {
				t.Errorf("encoding %q, blocks %q: got %d bytes, %v", encoding, method, len(got), err)
			}
		}
	}
}

func TestCutBlocksAreNotTakenForTheEnd(t *testing.T) {
	one, err := compressBlocks([]byte("first"), "NONE")
	if err != nil {
		t.Fatal(err)
	}
	whole := append(bytes.Clone(one), one...)
	for n := range len(whole) + 1 {
		r, err := requestBody(bytes.NewReader(whole[:n]), "", true)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if complete := n%len(one) == 0; complete != (err == nil) {
			t.Errorf("%d of %d bytes: %d bytes read, err %v", n, len(whole), len(got), err)
		}
		if _, again := r.Read(make([]byte, 8)); again == nil {
			t.Errorf("%d of %d bytes: reading goes on after the end", n, len(whole))
		}
	}
}

func TestUnknownCompressionIsRefused(t *testing.T) {
	if _, err := requestBody(strings.NewReader("x"), "rot13", false); err == nil {
		t.Error("unknown content encoding was accepted")
	}
	if _, err := compressBlocks([]byte("x"), "rot13"); err == nil {
		t.Error("unknown block compression was accepted")
	}
}

func TestResponseEncodingIsOneTheClientTakes(t *testing.T) {
	for accept, want := range map[string]string{
		"": "", "gzip": "gzip", "identity": "", "gzip;q=0, deflate": "deflate", "zstd, br;q=0.5": "br", "GZIP": "gzip",
	} {
		if got := responseEncoding(accept); got != want {
			t.Errorf("%q: got %q, want %q", accept, got, want)
		}
	}
}
