package parameters

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// generatedAPI is an API of routes with parameters of random kinds.
type generatedAPI struct {
	rng    *rand.Rand
	routes [][]func() string
}

func newGeneratedAPI(seed uint64) *generatedAPI {
	g := &generatedAPI{rng: rand.New(rand.NewPCG(seed, 7))}
	for range 6 {
		var params []func() string
		for range 1 + g.rng.IntN(6) {
			params = append(params, generators[g.rng.IntN(len(generators))](g.rng))
		}
		g.routes = append(g.routes, params)
	}
	return g
}

// call makes a call of a random route; where attack is not empty it replaces
// the value of one parameter.
func (g *generatedAPI) call(client int, attack string) call {
	i := g.rng.IntN(len(g.routes))
	at := g.rng.IntN(len(g.routes[i]))
	var q []string
	for k, value := range g.routes[i] {
		v := value()
		if attack != "" && k == at {
			v = attack
		}
		q = append(q, fmt.Sprintf("p%d=%s", k, url.QueryEscape(v)))
	}
	return get(client, "/r"+itoa(i), strings.Join(q, "&"))
}

// The prior makes few calls go far: benign calls stay within the nominal
// rate from the first, and attacks stand out.
func TestColdStart(t *testing.T) {
	for _, n := range []int{3, 10, 30, 100, 1000} {
		benign, odd, attacked, found := 0, 0, 0, 0
		alarm := math.Log(0.01)
		for seed := range uint64(6) {
			if n == 1000 && seed > 1 {
				break
			}
			g := newGeneratedAPI(seed)
			l := NewLearner(Config{})
			for i := range n * len(g.routes) {
				g.call(i, "").teach(l)
			}
			m, s := l.Model(), NewScratch()
			for i := range 400 {
				c := g.call(i, "")
				benign++
				if m.Judge(s, c.e, c.route).LogP < alarm {
					odd++
				}
				c = g.call(i, attacks[i%len(attacks)])
				attacked++
				if m.Judge(s, c.e, c.route).LogP < alarm {
					found++
				}
			}
		}
		false_, true_ := float64(odd)/float64(benign), float64(found)/float64(attacked)
		t.Logf("%4d calls a route: %.2f %% of benign calls at p < 0.01, %.1f %% of attacks", n, 100*false_, 100*true_)
		if false_ > 0.015 {
			t.Errorf("%d calls a route: %.2f %% of benign calls at p < 0.01", n, 100*false_)
		}
		if least := map[int]float64{3: 0.3, 10: 0.75, 30: 0.85, 100: 0.95, 1000: 0.99}[n]; true_ < least {
			t.Errorf("%d calls a route: %.1f %% of attacks found", n, 100*true_)
		}
	}
}

// The strength of the types foresees rather more change than generated traffic
// has, whose parameters are more regular than people's, but not far more.
func TestTypeStrengthFitsGeneratedTraffic(t *testing.T) {
	// After ten values of one type, how often is the next of a type not seen?
	other, total := 0.0, 0.0
	rng := rand.New(rand.NewPCG(5, 5))
	for range 400 {
		for _, g := range generators {
			value := g(rng)
			var seen uint16
			for range 10 {
				seen |= wider[shapeOf([]byte(value()), 0).typ]
			}
			for range 10 {
				typ := shapeOf([]byte(value()), 0).typ
				total++
				if wider[typ]&seen == 0 || seen>>typ&1 == 0 {
					other++
				}
			}
		}
	}
	rate := other / total
	predicted := typeStrength / (10 + typeStrength)
	t.Logf("a new type after ten values: %.4f of generated ones, predicted %.4f", rate, predicted)
	if predicted < rate || predicted > 20*rate {
		t.Errorf("predicted %.4f, generated %.4f", predicted, rate)
	}
}

func TestPriorIsADistribution(t *testing.T) {
	sum := 0.0
	for typ, p := range generalPrior.types {
		sum += p
		length := 0.0
		for _, q := range generalPrior.lengths[typ] {
			if q < 0 {
				t.Fatalf("%s: negative", Type(typ))
			}
			length += q
		}
		if math.Abs(length-1) > 1e-9 {
			t.Errorf("%s: lengths sum to %g", Type(typ), length)
		}
		if p <= 0 || slices.Max(generalPrior.chars[typ][:]) > 1 || slices.Min(generalPrior.chars[typ][:]) < 0 {
			t.Errorf("%s: out of bounds", Type(typ))
		}
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("types sum to %g", sum)
	}
}

// A parameter is shrunk to the others of its API: where they all hold
// apostrophes, a new one may.
func TestOtherParametersShapeThePrior(t *testing.T) {
	learn := func(text string) *Model {
		l := NewLearner(Config{})
		for i := range 60 {
			get(i, "/a", "p="+text+"&q="+text+"&r="+text+"&s="+text+"&t="+text).teach(l)
			if i < 10 {
				get(i, "/b", "p="+words[i]+"+"+words[i+7]+"+"+words[i+12]).teach(l)
			}
		}
		return l.Model()
	}
	probe := get(1, "/b", "p=river%27s+table+light")
	with, without := probe.judge(learn("it%27s+he")), probe.judge(learn("it+is+he"))
	if with.LogP <= without.LogP+0.5 {
		t.Errorf("ln p %.2f where others hold apostrophes, %.2f where none does", with.LogP, without.LogP)
	}
}
