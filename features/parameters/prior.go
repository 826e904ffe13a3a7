package parameters

import "math"

// The prior: what parameters of APIs are like in general. Its strengths say how
// alike the values of one parameter are. They were set by judgement and adjusted
// where held-out requests came out too improbable, not fitted: prior_test.go
// checks on generated traffic that they are neither too sure nor far too cautious.
const (
	typeStrength   = 0.25 // per type seen: parameters nearly always have one …
	wordStrength   = 1.0  // … but words turn out to have digits, or to be several
	lengthStrength = 0.5  // per length seen
	numberStrength = 0.5  // per octave seen
	charStrength   = 2.0  // votes that the prior of a character class is worth
	valueStrength  = 0.5  // per value seen: how likely another one is
	eventStrength  = 0.5  // of once-or-never events of a route: missing, new name
	repeatPrior    = 0.1  // share of parameters that may come twice
	poolStrength   = 3.0  // parameters that the general prior is worth to an API's own
	octaveDecay    = 0.35 // nats a further octave out of the range costs
	signOctaves    = 4    // octaves that a sign never seen counts for
	maxOctaves     = 16   // beyond which further ones tell no more
	looseLengths   = 0.2  // share of parameters of a type whose lengths are like no others'
)

// prior is the distribution of types, and of lengths and characters by type.
type prior struct {
	types   [numTypes]float64
	lengths [numTypes][numLengths]float64
	chars   [numTypes][numClasses]float64 // probability that a value holds the class
}

// generalPrior holds for parameters of any API.
var generalPrior = makePrior()

// typePrior describes the values of one type.
type typePrior struct {
	share  float64 // of parameters
	median float64 // bytes; 0: always empty
	spread float64 // sd of ln bytes
	chars  []charPrior
	rest   float64 // probability of each other printable class
}

// charPrior is the probability of each class of a set.
type charPrior struct {
	set string
	p   float64
}

func makePrior() *prior {
	letters := func(lower, upper float64) []charPrior {
		return []charPrior{{"ag", lower}, {"AG", upper}}
	}
	with := func(a []charPrior, b ...charPrior) []charPrior { return append(a, b...) }
	table := [numTypes]typePrior{
		TypeEmpty:  {share: 0.10},
		TypeBool:   {share: 0.05, median: 4.5, spread: 0.2, chars: letters(0.95, 0.05), rest: 1e-6},
		TypeInt:    {share: 0.19, median: 4, spread: 0.8, chars: []charPrior{{"0", 1}, {"-", 0.01}}, rest: 1e-6},
		TypeFloat:  {share: 0.05, median: 5, spread: 0.5, chars: []charPrior{{"0.", 1}, {"-", 0.05}, {"e", 0.01}}, rest: 1e-6},
		TypeUUID:   {share: 0.05, median: 36, spread: 0.02, chars: []charPrior{{"0-", 1}, {"a", 0.97}, {"A", 0.03}}, rest: 1e-6},
		TypeDate:   {share: 0.05, median: 16, spread: 0.4, chars: []charPrior{{"0", 1}, {"-", 0.95}, {":", 0.6}, {"T", 0.5}, {".", 0.2}, {"+", 0.05}, {" ", 0.1}, {"/", 0.05}}, rest: 1e-6},
		TypeEmail:  {share: 0.03, median: 20, spread: 0.3, chars: with(letters(0.99, 0.05), charPrior{"@.", 1}, charPrior{"0", 0.3}, charPrior{"_-", 0.1}, charPrior{"+", 0.02}), rest: 1e-5},
		TypeURL:    {share: 0.03, median: 45, spread: 0.5, chars: with(letters(1, 0.2), charPrior{":/", 1}, charPrior{".", 0.98}, charPrior{"0", 0.5}, charPrior{"-_", 0.3}, charPrior{"?=", 0.2}, charPrior{"&%", 0.1}, charPrior{"#~+,;@!$*()", 0.01}), rest: 1e-4},
		TypeHex:    {share: 0.03, median: 30, spread: 0.5, chars: []charPrior{{"0", 1}, {"a", 0.95}, {"A", 0.05}}, rest: 1e-6},
		TypeJWT:    {share: 0.01, median: 300, spread: 0.6, chars: with(letters(1, 1), charPrior{"0.", 1}, charPrior{"-_", 0.8}), rest: 1e-6},
		TypeWord:   {share: 0.15, median: 8, spread: 0.5, chars: with(letters(0.9, 0.4), charPrior{"_-", 0.1}), rest: 1e-5},
		TypeBase64: {share: 0.02, median: 44, spread: 0.8, chars: with(letters(1, 1), charPrior{"0", 1}, charPrior{"+/", 0.5}, charPrior{"=", 0.5}, charPrior{"_-", 0.3}), rest: 1e-6},
		TypeToken:  {share: 0.11, median: 12, spread: 0.6, chars: with(letters(0.8, 0.4), charPrior{"0", 0.9}, charPrior{"_-", 0.3}, charPrior{".:", 0.1}), rest: 1e-5},
		// Marks that only programs write are as good as absent from people's text.
		TypeText: {share: 0.13, median: 20, spread: 0.9, chars: with(letters(0.97, 0.6), charPrior{" ", 0.7}, charPrior{"0", 0.35}, charPrior{",.", 0.25},
			charPrior{"-", 0.12}, charPrior{"'/:()!?", 0.04}, charPrior{"\"&@_+;", 0.015}, charPrior{"\n", 0.03}, charPrior{"\r", 0.01}, charPrior{"#%=*[]$", 0.008},
			charPrior{"\t<>{}\\|~`^", 0.002}, charPrior{"\x80\xa0\xc0", 0.1}), rest: 1e-3},
	}
	p := &prior{}
	for t := range numTypes {
		d := &table[t]
		p.types[t] = d.share
		p.lengths[t] = lengthPrior(d.median, d.spread)
		for c := range p.chars[t] {
			if setBytes.has(1 << c) {
				p.chars[t][c] = d.rest
			}
		}
		for _, c := range d.chars {
			for i := range len(c.set) {
				p.chars[t][classOf[c.set[i]]] = c.p
			}
		}
		for _, c := range [...]int{classNUL, classControl, classBadEscape, classTwice} {
			p.chars[t][c] = min(d.rest, 1e-4)
		}
		p.jsonMarks(t)
	}
	return p
}

// jsonMarks sets how JSON writes a type: 7 may come as 7 or as "7".
func (p *prior) jsonMarks(t Type) {
	text, number, boolean, null := 1.0, 1e-4, 1e-4, 1e-4
	switch t {
	case TypeInt, TypeFloat:
		text, number = 0.2, 0.8
	case TypeBool:
		text, boolean = 0.2, 0.8
	case TypeEmpty:
		text, null = 0.5, 0.5
	}
	c := &p.chars[t]
	c[classJSONString], c[classJSONNumber], c[classJSONBool], c[classJSONNull] = text, number, boolean, null
}

// lengthPrior mixes a log-normal and, since texts of any size occur, the same
// for each bin.
func lengthPrior(median, spread float64) (q [numLengths]float64) {
	if median == 0 {
		q[0] = 1
		return q
	}
	cdf := func(x float64) float64 { return 0.5 * math.Erfc(-(math.Log(x)-math.Log(median))/(spread*math.Sqrt2)) }
	sum := 0.0
	for b := 1; b < numLengths; b++ {
		lo, hi := lengthBounds(uint8(b))
		q[b] = cdf(float64(hi)+0.5) - cdf(float64(lo)-0.5)
		sum += q[b]
	}
	for b := 1; b < numLengths; b++ {
		q[b] = (1-looseLengths)*q[b]/sum + looseLengths/(numLengths-1)
	}
	return q
}

// typeEvidence is what one parameter says of the types, with what it says of
// lengths and characters shared out to the type it mostly has.
type typeEvidence struct {
	main    Type
	counts  bool
	types   uint16 // all that are normal
	lengths [numLengths]float64
	chars   [numClasses]float64
}

func evidenceOf(p *paramState) (e typeEvidence) {
	most := uint32(0)
	for i := range p.types {
		b := &p.types[i]
		if !b.seen.enough() {
			continue
		}
		e.types |= 1 << b.key
		if b.count > most {
			most, e.main, e.counts = b.count, Type(b.key), true
		}
	}
	if !e.counts {
		return e
	}
	votes, _, _ := p.lengths.sums()
	for i := range p.lengths {
		if b := &p.lengths[i]; b.seen.enough() {
			e.lengths[b.key] = float64(b.count) / max(votes, 1)
		}
	}
	for i := range p.chars {
		if b := &p.chars[i]; b.seen.enough() {
			e.chars[b.key] = min(float64(b.count)/max(float64(p.votes), 1), 1)
		}
	}
	return e
}

// pool sums what the parameters of one API say, each alike.
type pool struct {
	n       [numTypes]float64 // by main type
	with    [numTypes]float64 // by every type they have
	lengths [numTypes][numLengths]float64
	chars   [numTypes][numClasses]float64
}

func (o *pool) add(e *typeEvidence, sign float64) {
	if !e.counts {
		return
	}
	o.n[e.main] += sign
	for t := range numTypes {
		if e.types>>t&1 == 1 {
			o.with[t] += sign
		}
	}
	for b, f := range e.lengths {
		o.lengths[e.main][b] += sign * f
	}
	for c, f := range e.chars {
		o.chars[e.main][c] += sign * f
	}
}

// prior is what the other parameters of the API, and those of all APIs, say of
// one that has the evidence self.
func (o *pool) prior(self *typeEvidence) *prior {
	o.add(self, -1)
	defer o.add(self, 1)
	p := *generalPrior
	// What type comes next is foretold by how many parameters have it, not by how
	// often (R. Kneser and H. Ney, "Improved backing-off for m-gram language
	// modeling", ICASSP 1995).
	total := poolStrength
	for t := range numTypes {
		total += o.with[t]
	}
	for t := range numTypes {
		n := o.n[t]
		p.types[t] = (o.with[t] + poolStrength*p.types[t]) / total
		if n < 0.5 {
			continue
		}
		for b := range p.lengths[t] {
			p.lengths[t][b] = max(o.lengths[t][b]+poolStrength*p.lengths[t][b], 0) / (n + poolStrength)
		}
		for c := range p.chars[t] {
			if c < classJSONString {
				p.chars[t][c] = max(o.chars[t][c]+poolStrength*p.chars[t][c], 0) / (n + poolStrength)
			}
		}
	}
	return &p
}
