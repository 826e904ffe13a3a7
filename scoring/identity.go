package scoring

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// identity judges who calls under a client's name: the likelihood ratio of
// Freeman et al. (2016), the product over device and place of p(x) / p(x | user).
// For a value that the client never showed, p(x | user) is the chance that it
// shows a new one times p(x), so that the ratio is one over that chance, which is
// counted in the client's own days and shrunk to what its kind does.
type identity struct{}

func (identity) Name() string { return "identity" }

func (identity) Channels() []int { return []int{ChannelIdentity} }

// What a client is known by; NumSeen is how many of these there are.
const (
	SeenDevice = iota // TLS fingerprint and user agent
	SeenASN
	SeenCountry
	SeenNetwork
	NumSeen
)

// seenValues is how many values of a kind are remembered of a client.
const seenValues = 4

// minAcquaintance is from how many days on a client has an identity to compare
// with.
const minAcquaintance = 2

// noveltyWeight is how many days of its kind a client's own rate of novelties is
// shrunk by.
const noveltyWeight = 10

// Acquaintance is whom a client was seen as, on the days before today and today.
type Acquaintance struct {
	Days   float64 // days on which it called, before today; at most memoryDays
	Values [NumSeen][seenValues]Seen
	New    [NumSeen]float64 // days that brought a new value
	Today  [NumSeen]bool    // today did
	Hours  [8]float32       // windows by three hours of the day
	// Tokens are the credentials last used, each with the device that it was first
	// used by: tokens are renewed, but hardly ever move.
	Tokens [seenValues]Token
	// Alternations is how often devices had changed places today before a stranger
	// came; Strange tells that one did.
	Alternations uint32
	Strange      bool
}

// Token is a credential, the device it belongs to and the day it was last used.
type Token struct {
	Hash, Device uint32
	Last         int32
}

// moved tells whether a credential is used by another device than its own.
func (a *Acquaintance) moved(token, device uint32) bool {
	for _, t := range a.Tokens {
		if t.Hash == token && token != 0 {
			return t.Device != 0 && device != 0 && t.Device != device
		}
	}
	return false
}

// use notes the credential of a window.
func (a *Acquaintance) use(token, device uint32, day int64) {
	if token == 0 || device == 0 {
		return
	}
	at := 0
	for i := range a.Tokens {
		if a.Tokens[i].Hash == token {
			a.Tokens[i].Last = int32(day)
			return
		}
		if a.Tokens[i].Last < a.Tokens[at].Last {
			at = i
		}
	}
	a.Tokens[at] = Token{token, device, int32(day)}
}

// CredentialOf is a window's credential as a hash; 0 where it is not known.
func CredentialOf(f *schemas.ClientFeatures) uint32 {
	if len(f.Credential) == 0 {
		return 0
	}
	return hash32(xxhash.Sum64(f.Credential))
}

// Seen is one value and the days since 1970 on which it was first and last seen.
type Seen struct {
	Hash        uint32
	First, Last int32
}

const memoryDays = 60

func (a *Acquaintance) newDay(int64) {
	a.Days = min(a.Days+1, memoryDays)
	for i := range a.Today {
		if a.Today[i] {
			a.New[i]++
		}
		a.Today[i] = false
		if a.Days == memoryDays {
			a.New[i] *= (memoryDays - 1) / float64(memoryDays)
		}
	}
	a.Alternations, a.Strange = 0, false
}

// Caller is who called last in a window, as hashes of what a client is known by;
// 0 where that is not known.
func Caller(f *schemas.ClientFeatures) (v [NumSeen]uint32) {
	if len(f.JA4) > 0 || len(f.UserAgent) > 0 {
		v[SeenDevice] = hash32(xxhash.Sum64(f.JA4)*31 + xxhash.Sum64(f.UserAgent))
	}
	if f.ASN > 0 {
		v[SeenASN] = hash32(uint64(f.ASN) * 0x9e3779b97f4a7c15)
	}
	if len(f.Country) > 0 {
		v[SeenCountry] = hash32(xxhash.Sum64(f.Country))
	}
	if len(f.ClientIP) > 0 {
		var buf [64]byte
		v[SeenNetwork] = hash32(xxhash.Sum64(features.AppendNetwork(buf[:0], f.ClientIP)))
	}
	return v
}

func hash32(h uint64) uint32 {
	if s := uint32(h >> 32); s != 0 {
		return s
	}
	return 1
}

// knew tells whether a value was known before today.
func (a *Acquaintance) knew(kind int, hash uint32, day int64) bool {
	for _, s := range a.Values[kind] {
		if s.Hash == hash && int64(s.First) < day {
			return true
		}
	}
	return false
}

// see notes a value; it tells whether it is new today.
func (a *Acquaintance) see(kind int, hash uint32, day int64) bool {
	at := 0
	for i := range a.Values[kind] {
		s := &a.Values[kind][i]
		if s.Hash == hash {
			s.Last = int32(day)
			return int64(s.First) == day
		}
		if s.Last < a.Values[kind][at].Last {
			at = i
		}
	}
	a.Values[kind][at] = Seen{hash, int32(day), int32(day)}
	return true
}

// strangeness is the log likelihood ratio of the window's caller being a
// stranger, and what it rests on.
func (a *Acquaintance) strangeness(f *schemas.ClientFeatures, c *Context) (nats float64, device, place bool) {
	if a.Days < minAcquaintance {
		return 0, false, false
	}
	day := f.WindowStart / dayUS
	v := Caller(f)
	novelty := func(kind int) float64 {
		if v[kind] == 0 || a.knew(kind, v[kind], day) {
			return 0
		}
		p := (noveltyWeight*c.Behaviour.Novelty[kind] + a.New[kind]) / (noveltyWeight + a.Days)
		return -math.Log(min(max(p, 1e-4), 1))
	}
	nats = novelty(SeenDevice)
	if token := CredentialOf(f); nats > 0 && a.moved(token, v[SeenDevice]) {
		nats = max(nats, -math.Log(max(c.Behaviour.TokenMoves, 1e-5)))
	}
	device = nats > 0
	// A new country brings a new network along: the rarest of them counts.
	where := max(novelty(SeenCountry), novelty(SeenASN), novelty(SeenNetwork))
	place = where > 0
	nats += where
	if device && place {
		// Two devices that take turns within a minute are two people.
		nats += min(1.5*float64(f.Alternations-min(a.Alternations, f.Alternations)), 8) + a.oddHour(f)
	}
	return nats, device, place
}

// oddHour is ln p(hour) / p(hour | client), where all hours are alike at first.
func (a *Acquaintance) oddHour(f *schemas.ClientFeatures) float64 {
	total := float32(0)
	for _, n := range a.Hours {
		total += n
	}
	const prior = 8
	p := (float64(a.Hours[hourBin(f)]) + prior/8.0) / (float64(total) + prior)
	return min(max(-math.Log(p*8), 0), 1.5)
}

func hourBin(f *schemas.ClientFeatures) int { return int(f.WindowStart / 3_600_000_000 % 24 / 3) }

func (identity) Fold(f *schemas.ClientFeatures, c *Context, ev *Evidence, scores *Scores) {
	nats, device, place := ev.Known.strangeness(f, c)
	if ev.Known.Strange = ev.Known.Strange || device && place; !ev.Known.Strange {
		ev.Known.Alternations = f.Alternations
	}
	if device && place {
		// A stranger who also behaves like one.
		nats += min(scores[ChannelBurst]/2, 4) + min(ev.Runs[runSteps].S/4, 5)
	}
	scores[ChannelIdentity] = nats
}

func (identity) Learn(f *schemas.ClientFeatures, ev *Evidence, trust float64) {
	if trust == 0 {
		return // a stranger is not made an acquaintance
	}
	day := f.WindowStart / dayUS
	for kind, hash := range Caller(f) {
		if hash != 0 && ev.Known.see(kind, hash, day) && ev.Known.Days > 0 {
			ev.Known.Today[kind] = true
		}
	}
	ev.Known.use(CredentialOf(f), Caller(f)[SeenDevice], day)
	h := &ev.Known.Hours[hourBin(f)]
	if *h++; *h > 1000 {
		for i := range ev.Known.Hours {
			ev.Known.Hours[i] /= 2
		}
	}
}

func (identity) Explain(_ int, f *schemas.ClientFeatures, c *Context, ev *Evidence) Reason {
	nats, _, _ := ev.Known.strangeness(f, c)
	e := schemas.FeatureExplanation{
		Name: "identity_surprise", Observed: nats, Expected: 0, Low: 0, High: 6, Baseline: "self", N: int(ev.Known.Days),
	}
	return Reason{Feature: e, At: func(x float64) float64 { return max(x, 0) }}
}

const acquaintanceBytes = 8 + NumSeen*seenValues*12 + NumSeen*8 + 1 + 8*4 + seenValues*12 + 4

func (a *Acquaintance) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(a.Days))
	today := byte(0)
	for k := range a.Values {
		for _, s := range a.Values[k] {
			b = binary.LittleEndian.AppendUint32(b, s.Hash)
			b = binary.LittleEndian.AppendUint32(b, uint32(s.First))
			b = binary.LittleEndian.AppendUint32(b, uint32(s.Last))
		}
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(a.New[k]))
		if a.Today[k] {
			today |= 1 << k
		}
	}
	if a.Strange {
		today |= 1 << 7
	}
	b = append(b, today)
	for _, h := range a.Hours {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(h))
	}
	for _, t := range a.Tokens {
		b = binary.LittleEndian.AppendUint32(b, t.Hash)
		b = binary.LittleEndian.AppendUint32(b, t.Device)
		b = binary.LittleEndian.AppendUint32(b, uint32(t.Last))
	}
	return binary.LittleEndian.AppendUint32(b, a.Alternations)
}

func (a *Acquaintance) decode(b []byte) ([]byte, error) {
	if len(b) < acquaintanceBytes {
		return nil, fmt.Errorf("%w: %d bytes", errEvidence, len(b))
	}
	u32 := func() uint32 {
		v := binary.LittleEndian.Uint32(b)
		b = b[4:]
		return v
	}
	f64 := func() float64 {
		v := binary.LittleEndian.Uint64(b)
		b = b[8:]
		return math.Float64frombits(v)
	}
	sane := true
	count := func(x float64) float64 {
		sane = sane && x >= 0 && !math.IsInf(x, 0)
		return x
	}
	a.Days = count(f64())
	for k := range a.Values {
		for i := range a.Values[k] {
			a.Values[k][i] = Seen{u32(), int32(u32()), int32(u32())}
		}
		a.New[k] = count(f64())
	}
	today := b[0]
	b = b[1:]
	for k := range a.Today {
		a.Today[k] = today>>k&1 == 1
	}
	a.Strange = today>>7 == 1
	for i := range a.Hours {
		a.Hours[i] = math.Float32frombits(u32())
		count(float64(a.Hours[i]))
	}
	for i := range a.Tokens {
		a.Tokens[i] = Token{u32(), u32(), int32(u32())}
	}
	a.Alternations = u32()
	if !sane {
		return nil, fmt.Errorf("%w: acquaintance", errEvidence)
	}
	return b, nil
}
