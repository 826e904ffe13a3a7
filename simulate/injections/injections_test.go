package injections

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 99)) }

func TestSameStateGivesSameBytes(t *testing.T) {
	a, b := newRand(1), newRand(1)
	for range 500 {
		for _, c := range Classes() {
			if x, y := Attack(c, a), Attack(c, b); !bytes.Equal(x, y) {
				t.Fatalf("%s: %q and %q", c, x, y)
			}
		}
		if x, y := Benign(a), Benign(b); !bytes.Equal(x, y) {
			t.Fatalf("benign: %q and %q", x, y)
		}
	}
}

func TestEveryClassVaries(t *testing.T) {
	r := newRand(2)
	for _, c := range append(Classes(), "") {
		seen := map[string]bool{}
		const n = 2000
		for range n {
			v := Attack(c, r)
			if c == "" {
				v = Benign(r)
			}
			seen[string(v)] = true
			if len(v) > 60000 {
				t.Fatalf("%s: a value of %d bytes", c, len(v))
			}
		}
		if len(seen) < n/3 {
			t.Errorf("class %q: %d distinct values of %d", c, len(seen), n)
		}
	}
	if Attack("astrology", r) != nil {
		t.Error("an unknown class has attacks")
	}
}

// An attack that lost the syntax of its class on the way would teach that
// harmless text is one.
func TestAttacksKeepTheirSyntax(t *testing.T) {
	syntax := map[string]*regexp.Regexp{
		"log4j":    regexp.MustCompile(`\$\{|\\u0024|%7B`),
		"header":   regexp.MustCompile("[\r\n]|%0|u000|%25|%E5|%23"),
		"xxe":      regexp.MustCompile(`<|&#`),
		"template": regexp.MustCompile(`[{<\[#@$%=]|root`),
	}
	r := newRand(3)
	for c, want := range syntax {
		for range 2000 {
			e := expander{r: r}
			e.expand("attack-"+c, 0)
			if !want.Match(e.out) {
				t.Fatalf("%s: %q", c, e.out)
			}
		}
	}
}

func TestHostsAreReserved(t *testing.T) {
	reserved := regexp.MustCompile(`^(?:.*\.)?(?:example|test|invalid|example\.(?:com|org|net)|[0-9]+)$`)
	r := newRand(4)
	for range 3000 {
		e := expander{r: r}
		e.expand("host", 0)
		if !reserved.Match(e.out) {
			t.Fatalf("%q", e.out)
		}
	}
}

func TestEveryRuleThatIsNamedExists(t *testing.T) {
	for name, alternatives := range rules() {
		if len(alternatives) == 0 {
			t.Errorf("%s has no alternatives", name)
		}
		for _, parts := range alternatives {
			for _, p := range parts {
				if p.rule == "" || rules()[p.rule] != nil {
					continue
				}
				if e := (&expander{r: newRand(5)}); !terminal(e, p.rule) {
					t.Errorf("%s names %s, which is no rule", name, p.rule)
				}
			}
		}
	}
}

func TestMarksEncode(t *testing.T) {
	for mark, want := range map[byte]string{'%': "a%22%26%20b", '+': "a%22%26+b", '^': "YSImIGI=", '!': `A"& B`, '"': `a\"& b`} {
		if got := string(encode(mark, []byte(`a"& b`))); got != want {
			t.Errorf("%c: %q, want %q", mark, got, want)
		}
	}
	r := newRand(6)
	for range 300 {
		e := expander{r: r}
		e.expand("bn-odd", 0)
		if back, err := url.PathUnescape(string(percentEncode(e.out, true))); err != nil || back != string(e.out) {
			t.Fatalf("%q came back as %q: %v", e.out, back, err)
		}
		var s string
		if err := json.Unmarshal([]byte(`"`+string(encode('"', e.out))+`"`), &s); err != nil && !strings.Contains(string(e.out), "\a") {
			t.Fatalf("%q: %v", e.out, err)
		}
	}
}
