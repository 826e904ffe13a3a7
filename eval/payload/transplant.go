package payload

import (
	"errors"
	"math/rand/v2"
)

// ErrNoCarriers says that no request has a parameter that could carry a string.
var ErrNoCarriers = errors.New("no request has a parameter value to replace")

// Carriers keeps a sample of requests with parameters, each request with the
// same chance, whatever their number (reservoir sampling, Vitter's algorithm R).
type Carriers struct {
	size int
	seen int
	dice *rand.Rand
	kept []*Request
}

// NewCarriers keeps up to size requests; the seed decides which.
func NewCarriers(size int, seed uint64) *Carriers {
	return &Carriers{size: size, dice: rand.New(rand.NewPCG(seed, 1))}
}

// Add offers a request.
func (c *Carriers) Add(r *Request) {
	if len(visible(r, "")) == 0 {
		return
	}
	c.seen++
	if len(c.kept) < c.size {
		c.kept = append(c.kept, r)
		return
	}
	if i := c.dice.IntN(c.seen); i < c.size {
		c.kept[i] = r
	}
}

// visible are the slots from which value would stand within what an Event
// carries of the body.
func visible(r *Request, value string) []Slot {
	slots := Slots(r)
	kept := slots[:0]
	for _, s := range slots {
		if s.Place == InQuery || s.End+len(s.encode(value)) <= maxSample {
			kept = append(kept, s)
		}
	}
	return kept
}

// Transplanted is a request of real traffic that carries an attack's string.
type Transplanted struct {
	*Request
	Place    Place
	Appended bool // behind the value that was there, instead of in its place
}

// Transplant puts attack strings, each at most once, into parameter values of
// carriers, until n are placed or they run out: in turn into a query, a form and
// a JSON string, as far as there are carriers with one; by the toss of a coin
// in place of the value or behind it. Encoded as the place demands, so that the
// server would see the very string. A string is put into bodies only where it
// stands within the part of the body that an Event carries. Equal arguments
// give equal results.
func Transplant(carriers []*Request, attacks []*Request, n int, seed uint64) ([]Transplanted, error) {
	dice := rand.New(rand.NewPCG(seed, 2))
	by := map[Place][]*Request{}
	places := []Place{InQuery, InForm, InJSON}
	for _, c := range carriers {
		has := map[Place]bool{}
		for _, s := range visible(c, "") {
			if !has[s.Place] {
				has[s.Place] = true
				by[s.Place] = append(by[s.Place], c)
			}
		}
	}
	kept := places[:0]
	for _, p := range places {
		if len(by[p]) > 0 {
			kept = append(kept, p)
		}
	}
	places = kept
	if len(places) == 0 {
		return nil, ErrNoCarriers
	}
	seen := map[string]bool{}
	var out []Transplanted
	for _, i := range dice.Perm(len(attacks)) {
		if len(out) == n {
			break
		}
		a := attacks[i]
		if a.Payload == "" || seen[a.Payload] {
			continue
		}
		seen[a.Payload] = true
		place := places[len(out)%len(places)]
		if t, ok := plant(by[place], place, a, dice); ok {
			out = append(out, t)
		}
	}
	return out, nil
}

// plant tries a few carriers: a long string may not fit behind a late value.
func plant(carriers []*Request, place Place, a *Request, dice *rand.Rand) (Transplanted, bool) {
	for range 16 {
		c := carriers[dice.IntN(len(carriers))]
		behind := dice.IntN(2) == 1
		var fit []Slot
		for _, s := range visible(c, a.Payload) {
			if s.Place == place {
				fit = append(fit, s)
			}
		}
		if len(fit) == 0 {
			continue
		}
		s := fit[dice.IntN(len(fit))]
		value := a.Payload
		if behind {
			value = s.Value(c) + value
			if s.Place != InQuery && s.Start+len(s.encode(value)) > maxSample {
				continue
			}
		}
		r := s.Put(c, value)
		r.Label, r.Type, r.Source = Attack, a.Type, a.Source
		return Transplanted{r, place, behind}, true
	}
	return Transplanted{}, false
}
