package parameters

import (
	"math/bits"
	"strings"
	"testing"
)

func TestTypes(t *testing.T) {
	tests := map[string]Type{
		"": TypeEmpty, "7": TypeInt, "-12": TypeInt, "+3": TypeInt, "3.14": TypeFloat, "-0.5e-3": TypeFloat, "1e9": TypeFloat, ".5": TypeFloat,
		"true": TypeBool, "OFF": TypeBool, "yes": TypeBool, "maybe": TypeWord, "sort_by": TypeWord,
		"6f1c2a1e-0b7d-4c55-9a3f-2d1f0e9b8c7a": TypeUUID, "2026-11-23": TypeDate, "2026-11-23T10:00:00.5Z": TypeDate, "2026/11/23 10:00": TypeDate,
		"a.b+c@example.com": TypeEmail, "a@b@c.d": TypeText, "a@b": TypeText, "https://example.com/x?y=1": TypeURL, "https://e.com/<x>": TypeText,
		"deadbeef01": TypeHex, "abc12": TypeToken, "AB-1234": TypeToken, "dGhpcyBpcyBhIHRlc3Q=": TypeBase64, "aB3dE5gH7jK9mN1pQ3": TypeBase64,
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlc2lnbmF0dXJl": TypeJWT,
		"hello world": TypeText, "1'--": TypeText, "1-2": TypeToken, "--1": TypeToken, "1e": TypeToken, "e5": TypeToken, "a/b": TypeText, "caf\u00e9": TypeText,
	}
	for v, want := range tests {
		if got := shapeOf([]byte(v), 0).typ; got != want {
			t.Errorf("%q is %s, want %s", v, got, want)
		}
	}
}

func TestClassesFitAWord(t *testing.T) {
	if numClasses > 64 || classBadEscape+5 >= 64 {
		t.Fatalf("%d classes", numClasses)
	}
	seen := map[uint8]bool{}
	for i := range 256 {
		seen[classOf[i]] = true
	}
	if len(seen) != classBadEscape {
		t.Errorf("bytes have %d classes, want %d", len(seen), classBadEscape)
	}
	for c := '!'; c <= '~'; c++ {
		alone := bits.OnesCount64(uint64(setOf(string(c))))
		if alone != 1 {
			t.Errorf("%q has %d classes", c, alone)
		}
	}
	if classOf['\''] == classOf['"'] || classOf['<'] == classOf['>'] {
		t.Error("marks share a class")
	}
}

func TestLengthBins(t *testing.T) {
	last := uint8(0)
	for n := range 100_000 {
		b := lengthBin(n)
		if b < last || b > last+1 {
			t.Fatalf("bin of %d is %d after %d", n, b, last)
		}
		if lo, hi := lengthBounds(b); b < numLengths-1 && (n < lo || n > hi) {
			t.Fatalf("%d is in bin %d of %d to %d", n, b, lo, hi)
		}
		last = b
	}
	if lengthBin(1<<40) != numLengths-1 {
		t.Error("the last bin is not open")
	}
}

func TestNumberBins(t *testing.T) {
	rising := []string{"-99999999999999999999", "-1000", "-3", "-1", "0", "1", "2.9", "4", "1000", "1e3"}
	for i, v := range rising[1:] {
		if a, b := parseNumber([]byte(rising[i])), parseNumber([]byte(v)); a >= b {
			t.Errorf("%s is in bin %d, %s in %d", rising[i], a, v, b)
		}
	}
	if parseNumber([]byte("5")) != parseNumber([]byte("7")) {
		t.Error("an octave has more than one bin")
	}
	if got := parseNumber([]byte(strings.Repeat("9", 400))); got != binZero+64 {
		t.Errorf("a huge number is in bin %d", got)
	}
}

func TestPatterns(t *testing.T) {
	p := func(v string) uint64 { return shapeOf([]byte(v), 0).pattern }
	if p("ORD-12345") != p("abc-1") || p("12345678Z") != p("9a") {
		t.Error("equal patterns differ")
	}
	if p("ORD-12345") == p("12345-ORD") || p("1A2") == p("12A") || p("a b") == p("a-b") {
		t.Error("other patterns are the same")
	}
}
