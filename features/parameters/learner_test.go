package parameters

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
)

func encode(l *Learner) []byte { return l.Append(nil) }

func TestOneClientTeachesNothing(t *testing.T) {
	l := shop(300)
	evil := func(minute int, client int) call {
		c := get(client, "/items", "page=1'+or+1=1&sort=pwn&q=%3Cscript%3E&debug=1")
		c.e.Time = int64(minute) * 60e6
		return c
	}
	// Two clients for a week: 672 votes each.
	for m := range 7 * 24 * 12 {
		evil(5*m, 100001).teach(l)
		evil(5*m, 100002).teach(l)
	}
	r := evil(0, 3).judge(l.Model())
	if r.LogP > -5 || r.Violations < 4 {
		t.Errorf("after two clients: ln p %.1f, %d violations", r.LogP, r.Violations)
	}
	evil(0, 100003).teach(l)
	if r := evil(0, 3).judge(l.Model()); r.LogP < -5 {
		t.Errorf("after three clients: ln p %.1f", r.LogP)
	}
}

// Two clients cannot switch a check off either, by doing everything else.
func TestTwoClientsHideNothing(t *testing.T) {
	odd := []call{
		get(3, "/items", "page=7&sort=tall&q=river+stone"),          // enum
		get(3, "/items", "page=7&q=river+stone"),                    // missing
		get(3, "/items", "page=7&sort=small&q=river+stone&debug=1"), // unknown
		get(3, "/items", "page=x&sort=small&q=river+stone"),         // type
		get(3, "/admin", ""),
	}
	usual := get(3, "/items", "page=7&sort=small&q=river+stone")
	l := shop(300)
	before := l.Model()
	for i := range 7 * 96 {
		for client := 100001; client <= 100002; client++ {
			for _, c := range []call{
				get(client, "/items", "q=%3B%3C"),
				get(client, "/items", "sort=x"+itoa(i)+"&n"+itoa(i)+"=1&page=z"),
				get(client, "/made"+itoa(i), ""),
			} {
				c.e.Time = int64(2*i+client%2) * 900e6
				c.teach(l)
			}
		}
	}
	after := l.Model()
	for _, c := range odd {
		if a, b := c.judge(before), c.judge(after); b.LogP > -2 || b.LogP > 0.5*a.LogP {
			t.Errorf("%s?%s: ln p %.2f before, %.2f after (%s)", c.e.Path, c.e.Query, a.LogP, b.LogP, after.Explain(b.Worst))
		}
	}
	if r := usual.judge(after); r.LogP < -1 {
		t.Errorf("the usual became odd: ln p %.2f, %s", r.LogP, after.Explain(r.Worst))
	}
}

func TestOneVotePerInterval(t *testing.T) {
	l := NewLearner(Config{})
	for i := range 1000 {
		c := get(1, "/items", "page=1")
		c.e.Time = int64(i) * 1e6 // 1000 s: two intervals
		c.teach(l)
	}
	r := l.apis["default\x00shop"].routes["GET /items"]
	if r.calls != 2 || r.params["\x01page"].votes != 2 || r.params["\x01page"].present != 2 {
		t.Errorf("%d calls, %d votes", r.calls, r.params["\x01page"].votes)
	}
}

func TestOnlySuccessTeaches(t *testing.T) {
	l := shop(50)
	before := encode(l)
	for i, status := range []int64{400, 401, 403, 500, 503, 0, -1} {
		c := get(1000+i, "/items", "page=x&new=1")
		c.e.Status = status
		c.teach(l)
	}
	if !bytes.Equal(before, encode(l)) {
		t.Error("calls that failed taught something")
	}
	// Calls to what is not there teach how common such calls are.
	miss := get(5000, "/favicon.ico", "")
	p := miss.judge(l.Model()).Worst.LogP
	for i := range 40 {
		c := get(6000+i, "/favicon.ico", "")
		c.e.Status = 404
		c.teach(l)
	}
	r := miss.judge(l.Model())
	if want := math.Log((40 + eventStrength) / (150 + 40 + 2*eventStrength)); math.Abs(r.Worst.LogP-want) > 1e-9 || r.Worst.LogP <= p {
		t.Errorf("ln p of an unknown path %.2f, want %.2f", r.Worst.LogP, want)
	}
}

func TestVouchedTrafficNeedsNoClients(t *testing.T) {
	l := NewLearner(Config{Vouched: true})
	for i := range 30 {
		c := get(1, "/items", "page="+itoa(i))
		c.e.Status = 404
		c.teach(l)
	}
	m := l.Model()
	if r := get(2, "/items", "page=7").judge(m); !r.Known || r.LogP < -1 {
		t.Errorf("usual: %+v", r)
	}
	if r := get(2, "/items", "page=x").judge(m); r.Violations == 0 {
		t.Errorf("odd: %+v", r)
	}
}

func TestBounds(t *testing.T) {
	l := NewLearner(Config{MaxAPIs: 2, MaxParameters: 500})
	for i := range 5000 {
		c := get(i%2, "/r"+itoa(i), "a=1")
		c.teach(l)
	}
	a := l.apis["default\x00shop"]
	if len(a.routes) > maxRoutes {
		t.Errorf("%d routes", len(a.routes))
	}
	for i := range 200 {
		get(i, "/wide", "p"+itoa(i)+"=1&"+strings.Repeat("n", maxNameBytes+1)+"=1").teach(l)
	}
	if n := len(a.routes["GET /wide"].params); n > maxParams {
		t.Errorf("%d parameters of a route", n)
	}
	total := 0
	for _, r := range a.routes {
		total += len(r.params)
	}
	if total != l.params || total > 500 {
		t.Errorf("%d parameters, counted as %d", total, l.params)
	}
	for i := range 5 {
		c := get(1, "/x", "")
		c.e.API = []byte("api" + itoa(i))
		c.teach(l)
	}
	if len(l.apis) != 2 || l.apis["default\x00shop"] == nil {
		t.Errorf("%d APIs, or the one of many clients forgotten", len(l.apis))
	}
}

// Names that few clients sent give way to new ones; what stays keeps its order.
func TestPruneKeepsWhatIsNormal(t *testing.T) {
	l := NewLearner(Config{})
	for i := range 20 {
		get(i, "/items", "junk"+itoa(i)+"=1&page=1&sort=a").teach(l)
	}
	for i := range 100 {
		get(i, "/items", "more"+itoa(i)+"=1").teach(l)
	}
	r := l.apis["default\x00shop"].routes["GET /items"]
	for i, n := range r.names {
		if p := r.params[n]; p == nil || int(p.ordinal) != i {
			t.Fatalf("%q is out of place", n)
		}
	}
	if r.params["\x01page"] == nil || r.params["\x01sort"] == nil {
		t.Fatal("parameters of many clients were forgotten")
	}
	m := l.Model()
	if got := get(1, "/items", "sort=a&page=1").judge(m); got.Worst.Kind != KindOrder {
		t.Error("the order of what stayed was forgotten")
	}
}

func TestEncodingRoundTrip(t *testing.T) {
	l := shop(120)
	data := encode(l)
	back, err := DecodeLearner(Config{}, data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, encode(back)) {
		t.Error("decoding and encoding changes it")
	}
	for _, c := range []call{get(9, "/items", "page=x&sort=z"), get(9, "/items", "page=3&sort=small&q=a+b"), get(1, "/z", "")} {
		if a, b := c.judge(l.Model()), c.judge(back.Model()); a.LogP != b.LogP || a.Violations != b.Violations {
			t.Errorf("judged %g, after a round trip %g", a.LogP, b.LogP)
		}
	}
	for i := 0; i < len(data); i += 97 {
		bad := bytes.Clone(data)
		bad[i] ^= 0x10
		if _, err := DecodeLearner(Config{}, bad); !errors.Is(err, ErrEncoding) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	if _, err := DecodeLearner(Config{}, data[:len(data)-1]); !errors.Is(err, ErrEncoding) {
		t.Errorf("torn: %v", err)
	}
	if _, err := DecodeLearner(Config{MaxParameters: 3}, data); !errors.Is(err, ErrEncoding) {
		t.Errorf("beyond the bounds: %v", err)
	}
}

// Learning two halves apart and merging them is learning the whole.
func TestMergeIsLearningBoth(t *testing.T) {
	whole, a, b := NewLearner(Config{}), NewLearner(Config{}), NewLearner(Config{})
	for i := range 200 {
		part := a
		if i >= 100 {
			part = b
		}
		for _, c := range shopCalls(i) {
			c.teach(whole)
			c.teach(part)
		}
	}
	other := encode(b)
	if err := a.Merge(b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(other, encode(b)) {
		t.Error("merging changed the other")
	}
	for _, c := range []call{get(9, "/items", "page=x&sort=z"), get(9, "/items", "page=3&sort=small&q=a+b"), get(1, "/z", ""),
		get(9, "/items", "sort=small&page=1"), post(1, "/login", "application/x-www-form-urlencoded", "user=a'b&pin=1")} {
		x, y := c.judge(whole.Model()), c.judge(a.Model())
		if math.Abs(x.LogP-y.LogP) > 0.3 || x.Worst.Kind != y.Worst.Kind {
			t.Errorf("%s: whole %g (%s), merged %g (%s)", c.e.Query, x.LogP, x.Worst.Kind, y.LogP, y.Worst.Kind)
		}
	}
	if err := a.Merge(NewLearner(Config{Vouched: true})); !errors.Is(err, ErrConfig) {
		t.Errorf("merging vouched and other traffic: %v", err)
	}
}

func TestSameTrafficSameModel(t *testing.T) {
	a, b := shop(100), shop(100)
	if !bytes.Equal(encode(a), encode(b)) {
		t.Fatal("the same calls give other counts")
	}
	c := get(9, "/items", "page=x&sort=z&q=%3C")
	if x, y := c.judge(a.Model()), c.judge(b.Model()); x.LogP != y.LogP {
		t.Errorf("%v and %v", x.LogP, y.LogP)
	}
}

// seal adds the checksum.
func seal(body []byte) []byte {
	return binary.LittleEndian.AppendUint64(bytes.Clone(body), xxhash.Sum64(body))
}

func FuzzDecodeLearner(f *testing.F) {
	f.Add(encode(NewLearner(Config{})))
	f.Add(encode(shop(3)))
	f.Add([]byte(codecMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		// Most inputs would end at the checksum: it is made right.
		if len(data) >= 8 {
			data = seal(data[:len(data)-8])
		}
		l, err := DecodeLearner(Config{MaxParameters: 1000}, data)
		if err != nil {
			if !errors.Is(err, ErrEncoding) {
				t.Fatal(err)
			}
			return
		}
		again, err := DecodeLearner(Config{MaxParameters: 1000}, encode(l))
		if err != nil || !bytes.Equal(encode(again), encode(l)) {
			t.Fatalf("no round trip: %v", err)
		}
		m := l.Model()
		for _, c := range shopCalls(1) {
			if r := c.judge(m); math.IsNaN(r.LogP) || r.LogP > 0 {
				t.Fatalf("ln p %g", r.LogP)
			}
			c.teach(l)
		}
	})
}
