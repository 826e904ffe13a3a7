package payload

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/weir-dev/weir/simulate/injections"
)

func TestModelRoundTrip(t *testing.T) {
	d := shipped(t)
	var one, two bytes.Buffer
	if err := d.Write(&one); err != nil {
		t.Fatal(err)
	}
	if one.Len() > 700_000 {
		t.Errorf("the shipped model has %d bytes", one.Len())
	}
	back, err := Read(bytes.NewReader(one.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Write(&two); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) || back.Version() != d.Version() || back.DefaultThreshold() != d.DefaultThreshold() {
		t.Error("a model changed by being written and read")
	}
}

func TestBrokenModelsAreRefused(t *testing.T) {
	var buf bytes.Buffer
	if err := shipped(t).Write(&buf); err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(&buf)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	pack := func(b []byte) []byte {
		var out bytes.Buffer
		w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	changed := func(at int) []byte {
		b := bytes.Clone(plain)
		b[at] ^= 1
		return pack(b)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "not gzip": []byte("weirpayl"), "empty gzip": pack(nil), "magic": changed(0),
		"version": changed(len(modelMagic)), "checksum": changed(len(modelMagic) + 4),
		"content": changed(len(plain) / 2), "torn": pack(plain[:len(plain)-9]), "tail": pack(append(bytes.Clone(plain), 0)),
	} {
		if _, err := Read(bytes.NewReader(b)); !errors.Is(err, ErrModel) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzModelBody(f *testing.F) {
	f.Add([]byte{0, 1, 2})
	f.Fuzz(func(_ *testing.T, b []byte) {
		d := &Detector{language: new(language), linear: new(linear), naming: new(naming)}
		d.walk(&file{buf: b, reading: true})
	})
}

func TestLearnKnowsItsPlace(t *testing.T) {
	d, s := shipped(t), new(Scratch)
	r := rand.New(rand.NewPCG(21, 22))
	// A place whose values are one odd notation.
	notation := func() []byte {
		verbs := []string{"select", "union", "drop", "exec"}
		return []byte("=:" + verbs[r.IntN(4)] + "('" + verbs[r.IntN(4)] + "');;" + string(rune('a'+r.IntN(26))) + "--")
	}
	var values [][]byte
	for i := range 1200 {
		if i%3 == 0 {
			values = append(values, notation())
		} else {
			values = append(values, injections.Benign(r))
		}
	}
	each := func(yield func([]byte) bool) {
		for _, v := range values {
			if !yield(v) {
				return
			}
		}
	}
	learnt, err := d.Learn(each)
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.Learn(each)
	if err != nil {
		t.Fatal(err)
	}
	if learnt.Version() != again.Version() || learnt.Version() == d.Version() {
		t.Errorf("versions %s, %s, before %s", learnt.Version(), again.Version(), d.Version())
	}
	const n = 300
	before, after, kept := 0, 0, 0
	for i := range n {
		v := notation()
		if d.Value(s, v).Confidence >= d.DefaultThreshold() {
			before++
		}
		if learnt.Value(s, v).Confidence >= learnt.DefaultThreshold() {
			after++
		}
		if learnt.Value(s, injections.Attack(injections.Classes()[i%numClasses], r)).Confidence >= learnt.DefaultThreshold() {
			kept++
		}
	}
	t.Logf("alarms on the notation before %d, after %d of %d; attacks still found %d", before, after, n, kept)
	if after > n/50 || kept < n*85/100 {
		t.Errorf("alarms before %d, after %d; attacks found %d of %d", before, after, kept, n)
	}
	if _, err := d.Learn(func(func([]byte) bool) {}); !errors.Is(err, ErrTooFew) {
		t.Errorf("learning from nothing: %v", err)
	}
}

func TestTrainNeedsBothKinds(t *testing.T) {
	_, err := Train(func(yield func(Example) bool) {
		for range 5000 {
			if !yield(Example{Value: []byte("a b")}) {
				return
			}
		}
	}, DefaultTrainOptions())
	if !errors.Is(err, ErrTooFew) {
		t.Errorf("%v", err)
	}
}

// Against the closed form: pooling adjacent violators gives the running means of
// the blocks, here with the half counts that keep them from 0 and 1.
func TestIsotonicPoolsViolators(t *testing.T) {
	samples := []sample{{score: 1}, {score: 2, attack: true}, {score: 3}, {score: 4, attack: true}, {score: 5, attack: true}}
	knots := fitIsotonic(samples, 1)
	want := []knot{{1, 0.25}, {2.5, 0.5}, {4.5, 2.5 / 3}}
	// Scores 4 and 5 have the same mean and are one block.
	if len(knots) != len(want) {
		t.Fatalf("%v, want %v", knots, want)
	}
	for i := range want {
		if knots[i] != want[i] {
			t.Errorf("%v, want %v", knots[i], want[i])
		}
	}
}

func TestThresholdLetsThroughWhatItMay(t *testing.T) {
	var c []float64
	for i := range 1000 {
		c = append(c, 0.5+float64(i)/2000)
	}
	th := thresholdOf(c, 1000, 0.01)
	above := 0
	for _, x := range c {
		if x >= th {
			above++
		}
	}
	if above != 10 {
		t.Errorf("%d of 1000 reach the threshold", above)
	}
}
