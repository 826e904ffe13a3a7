package simulate

import (
	"errors"
	"testing"
)

func TestMostOfTheDefaultMixIsPeople(t *testing.T) {
	m, sum, people := DefaultMix(), 0.0, 0.0
	for i, w := range m.weights() {
		sum += w
		if dealt[i].Person() {
			people += w
		}
	}
	if people/sum < .8 {
		t.Errorf("people are %.3f of the default mix", people/sum)
	}
	if s := m.Shares(); len(s) != mixClasses || s[ClassHuman] != m.Human/sum {
		t.Errorf("shares %v", s)
	}
	for _, c := range Classes() {
		if c.Description() == "" {
			t.Errorf("%s is not described", c)
		}
	}
}

func TestParseMix(t *testing.T) {
	m, err := ParseMix("none,human=3, kiosk=.5")
	if err != nil || m != (Mix{Human: 3, Kiosk: .5}) {
		t.Errorf("parsed %+v, %v", m, err)
	}
	want := DefaultMix()
	want.Job = 0
	if m, err = ParseMix("job=0"); err != nil || m != want {
		t.Errorf("parsed %+v, %v", m, err)
	}
	for _, s := range []string{"", "humans=1", "human", "human=x", "human=-1", "human=+Inf", "human=NaN", "none", "newcomer=1", "human=1,none"} {
		if _, err := ParseMix(s); !errors.Is(err, ErrConfig) {
			t.Errorf("%q: error %v", s, err)
		}
	}
}

func FuzzParseMix(f *testing.F) {
	for _, s := range []string{"none,human=1", "job=0", "human=1e300,probe=2", ",", "=", "none,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := ParseMix(s); err == nil && m.check() != nil {
			t.Errorf("%q gives %+v, which is not usable", s, m)
		}
	})
}
