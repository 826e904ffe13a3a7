package payload

import "math"

// numKinds is how many classes of bytes the language model knows.
const numKinds = 64

// kindOf maps bytes to classes: each letter without its case, digits, each mark
// of punctuation, space, other white space and controls, line breaks, NUL, and
// what is not ASCII.
var kindOf = func() (t [256]uint8) {
	mark := uint8(27)
	for i := range t {
		c := byte(i)
		switch {
		case c >= 'a' && c <= 'z':
			t[i] = c - 'a'
		case c >= 'A' && c <= 'Z':
			t[i] = c - 'A'
		case c >= '0' && c <= '9':
			t[i] = 26
		case c == ' ':
			t[i] = kindSpace
		case c == '\r' || c == '\n':
			t[i] = 61
		case c == 0:
			t[i] = 62
		case c < ' ' || c == 0x7f:
			t[i] = 60
		case c >= 0x80:
			t[i] = 63
		default:
			t[i] = mark // 32 marks: 27..58
			mark++
		}
	}
	return t
}()

const kindSpace = 59

// language is an interpolated trigram model of benign values, over classes of
// bytes: surprise[a][b][c] is -ln P(c after a, b).
type language struct {
	surprise [numKinds * numKinds * numKinds]uint8 // in units of nat
}

const nat = 0.05 // of a unit of surprise

// worst is the window of 8 bytes that surprises most, its place and its surprise
// in nats; a shorter text is summed whole.
func (l *language) worst(b []byte) (nats float64, start, end int) {
	var ring [spanBytes]uint8
	ctx := uint32(kindSpace)*numKinds + kindSpace
	sum, best := 0, -1
	for i, c := range b {
		k := uint32(kindOf[c])
		ctx = (ctx*numKinds + k) & (numKinds*numKinds*numKinds - 1)
		x := l.surprise[ctx]
		sum += int(x) - int(ring[i%spanBytes])
		ring[i%spanBytes] = x
		if sum > best {
			best, end = sum, i+1
		}
	}
	if best < 0 {
		return 0, 0, 0
	}
	return float64(best) * nat, max(0, end-spanBytes), end
}

// trigrams counts classes of bytes in values.
type trigrams struct {
	count [numKinds * numKinds * numKinds]uint32
}

func (g *trigrams) add(b []byte) {
	ctx := uint32(kindSpace)*numKinds + kindSpace
	for _, c := range b {
		ctx = (ctx*numKinds + uint32(kindOf[c])) & (numKinds*numKinds*numKinds - 1)
		g.count[ctx]++
	}
}

// newLanguage interpolates trigrams, bigrams and single classes after Witten and
// Bell: each order yields to the next shorter one as much as its context has
// been followed by different classes.
func newLanguage(g *trigrams) *language {
	l := new(language)
	var one [numKinds]float64
	var two [numKinds][numKinds]float64
	total := 0.0
	for i, n := range g.count {
		c, b := i%numKinds, i/numKinds%numKinds
		one[c] += float64(n)
		two[b][c] += float64(n)
		total += float64(n)
	}
	for c := range one {
		one[c] = (one[c] + 1) / (total + numKinds)
	}
	for b := range two {
		back(two[b][:], one[:])
	}
	var row [numKinds]float64
	for ab := range numKinds * numKinds {
		for c := range row {
			row[c] = float64(g.count[ab*numKinds+c])
		}
		back(row[:], two[ab%numKinds][:])
		for c, p := range row {
			l.surprise[ab*numKinds+c] = units(p)
		}
	}
	return l
}

// back turns counts into probabilities that back off to shorter.
func back(counts, shorter []float64) {
	n, kinds := 0.0, 1.0
	for _, x := range counts {
		n += x
		if x > 0 {
			kinds++
		}
	}
	for c := range counts {
		counts[c] = (counts[c] + float64(kinds*shorter[c])) / (n + kinds)
	}
}

func units(p float64) uint8 {
	return uint8(math.Round(min(255, -math.Log(max(p, 1e-12))/nat)))
}

// learn is the posterior of l with the counts of g: in each context the prior
// weighs as much as kappa values of it.
func (l *language) learn(g *trigrams, kappa float64) *language {
	out := new(language)
	for ab := range numKinds * numKinds {
		row := g.count[ab*numKinds : (ab+1)*numKinds]
		n := 0.0
		for _, x := range row {
			n += float64(x)
		}
		for c, x := range row {
			old := math.Exp(-nat * float64(l.surprise[ab*numKinds+c]))
			out.surprise[ab*numKinds+c] = units((float64(kappa*old) + float64(x)) / (kappa + n))
		}
	}
	return out
}
