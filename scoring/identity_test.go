package scoring

import (
	"bytes"
	"math"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// known is a client that was seen at home on some days before, in all hours alike.
func known(days float64) *Evidence {
	ev := &Evidence{Day: baseUS/dayUS - 1}
	f := record(-8640, true, atHome)
	identity{}.Learn(f, ev, 1)
	ev.Known.Days = days
	ev.Known.Hours = [8]float32{}
	ev.Day = baseUS / dayUS
	return ev
}

func strangeness(ev *Evidence, changes ...func(*schemas.ClientFeatures)) float64 {
	f := record(0, true, func(f *schemas.ClientFeatures) {
		for _, change := range changes {
			change(f)
		}
	})
	nats, _, _ := ev.Known.strangeness(f, &Context{Behaviour: testBehaviour()})
	return nats
}

// oftenNew has a client show new things on some of its days.
func oftenNew(ev *Evidence, device, asn, country, network float64) *Evidence {
	ev.Known.New = [NumSeen]float64{SeenDevice: device, SeenASN: asn, SeenCountry: country, SeenNetwork: network}
	return ev
}

func TestStrangenessIsTheShrunkLikelihoodRatio(t *testing.T) {
	b := testBehaviour()
	rate := func(kind int, own, days float64) float64 {
		return -math.Log((noveltyWeight*b.Novelty[kind] + own) / (noveltyWeight + days))
	}
	device := func(f *schemas.ClientFeatures) { f.UserAgent, f.Credential = []byte("curl/8"), nil }
	network := func(f *schemas.ClientFeatures) { f.ClientIP = []byte("198.51.100.9") }
	carrier := func(f *schemas.ClientFeatures) { network(f); f.ASN = 64501 }
	country := func(f *schemas.ClientFeatures) { carrier(f); f.Country = []byte("BR") }
	for _, tc := range []struct {
		name   string
		ev     *Evidence
		change func(*schemas.ClientFeatures)
		want   float64
	}{
		{"as ever", known(20), nil, 0},
		{"a new device", known(20), device, rate(SeenDevice, 0, 20)},
		{"a new device of one that has many", oftenNew(known(20), 9, 0, 0, 0), device, rate(SeenDevice, 9, 20)},
		{"a network next door", known(20), func(f *schemas.ClientFeatures) { f.ClientIP = []byte("203.0.113.99") }, 0},
		{"a new network", known(20), network, rate(SeenNetwork, 0, 20)},
		{"a new carrier", known(20), carrier, rate(SeenASN, 0, 20)},     // the network counts in it
		{"a new country", known(20), country, rate(SeenCountry, 0, 20)}, // so do both
		{"a new country of a traveller", oftenNew(known(20), 0, 12, 10, 15), country, rate(SeenCountry, 10, 20)},
		{
			"a new device in a new country", known(20), func(f *schemas.ClientFeatures) { country(f); device(f) },
			rate(SeenDevice, 0, 20) + rate(SeenCountry, 0, 20),
		},
		{"nothing is known of the caller", known(20), func(f *schemas.ClientFeatures) {
			f.ClientIP, f.UserAgent, f.Country, f.ASN = nil, nil, nil, schemas.Unknown
		}, 0},
		{"too new to tell", known(minAcquaintance - 1), func(f *schemas.ClientFeatures) { country(f); device(f) }, 0},
		{"too many new ones to say more", oftenNew(known(50), 60, 0, 0, 0), device, 0},
	} {
		change := tc.change
		if change == nil {
			change = func(*schemas.ClientFeatures) {}
		}
		if got := strangeness(tc.ev, atHome, change); math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("%s: %v nats, want %v", tc.name, got, tc.want)
		}
	}
}

func TestCredentialThatMovesIsRarerThanANewDevice(t *testing.T) {
	moved := strangeness(known(20), atHome, func(f *schemas.ClientFeatures) { f.UserAgent = []byte("curl/8") })
	if want := -math.Log(testBehaviour().TokenMoves); math.Abs(moved-want) > 1e-9 {
		t.Errorf("a token used by another device is %v nats, want %v", moved, want)
	}
	renewed := strangeness(known(20), atHome, func(f *schemas.ClientFeatures) { f.UserAgent, f.Credential = []byte("curl/8"), []byte("c2") })
	if renewed >= moved {
		t.Errorf("a new token of a new device is %v nats, a moved one %v", renewed, moved)
	}
	if same := strangeness(known(20), atHome, func(f *schemas.ClientFeatures) { f.Credential = []byte("c2") }); same != 0 {
		t.Errorf("a renewed token of the same device is %v nats", same)
	}
}

// Devices that take turns are two people: only turns since the stranger came count.
func TestConcurrencyCounts(t *testing.T) {
	turns := func(n uint32) func(*schemas.ClientFeatures) {
		return func(f *schemas.ClientFeatures) { f.Alternations = n }
	}
	base := strangeness(known(20), abroad)
	for _, tc := range []struct {
		before, now uint32
		want        float64
	}{{0, 2, 3}, {0, 100, 8}, {4, 6, 3}, {9, 3, 0}} {
		ev := known(20)
		ev.Known.Alternations = tc.before
		if got := strangeness(ev, abroad, turns(tc.now)) - base; math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("%d turns after %d: %v nats more, want %v", tc.now, tc.before, got, tc.want)
		}
	}
	if got := strangeness(known(20), atHome, turns(50)); got != 0 {
		t.Errorf("turns of known devices are %v nats", got)
	}
	// What devices took turns before the stranger came is kept apart.
	ev := known(20)
	c := &Context{Behaviour: testBehaviour()}
	var scores Scores
	fold := func(change func(*schemas.ClientFeatures), n uint32) {
		identity{}.Fold(record(0, true, func(f *schemas.ClientFeatures) { change(f); f.Alternations = n }), c, ev, &scores)
	}
	fold(atHome, 5)
	if ev.Known.Alternations != 5 || ev.Known.Strange {
		t.Errorf("before the stranger: %+v", ev.Known)
	}
	fold(abroad, 6)
	fold(atHome, 8)
	if ev.Known.Alternations != 5 || !ev.Known.Strange {
		t.Errorf("after the stranger: %d turns, strange %v", ev.Known.Alternations, ev.Known.Strange)
	}
}

func TestOddHoursCountForStrangers(t *testing.T) {
	ev := known(20)
	if got := strangeness(ev, abroad); math.Abs(got-strangeness(known(20), abroad)) > 1e-12 {
		t.Fatal("not the same client")
	}
	day := known(20)
	day.Known.Hours[4] = 20 // noon to three
	// ln of p(hour) = 1/8 over (0 + 1) / (20 + 8).
	some := strangeness(day, abroad) - strangeness(ev, abroad)
	if want := -math.Log(8.0 / 28); math.Abs(some-want) > 1e-9 {
		t.Errorf("midnight is %v nats for who calls at noon, want %v", some, want)
	}
	day.Known.Hours[4] = 4000
	if got := strangeness(day, abroad) - strangeness(ev, abroad); got < some || got > 3 {
		t.Errorf("an hour is worth %v nats, however often it was another", got)
	}
	day.Known.Hours = [8]float32{0: 400}
	if got := strangeness(day, abroad) - strangeness(ev, abroad); got != 0 {
		t.Errorf("its own hour is %v nats", got)
	}
}

func TestStrangersAreNotMadeAcquaintances(t *testing.T) {
	ev := known(20)
	before := ev.Known
	identity{}.Learn(record(0, true, abroad), ev, 0)
	if ev.Known != before {
		t.Errorf("learnt %+v under suspicion", ev.Known)
	}
	identity{}.Learn(record(0, true, abroad), ev, 0.2)
	v := Caller(record(0, true, abroad))
	day := int64(baseUS / dayUS)
	for kind := range v {
		if !ev.Known.Today[kind] {
			t.Errorf("what is new of kind %d is not noted", kind)
		}
		if ev.Known.knew(kind, v[kind], day) || !ev.Known.knew(kind, v[kind], day+1) {
			t.Errorf("kind %d: known on its first day, or not on the next", kind)
		}
	}
	// Tomorrow it is one day with something new, however often it was seen.
	identity{}.Learn(record(1, true, abroad), ev, 1)
	ev.Known.newDay(day + 1)
	if ev.Known.New != [NumSeen]float64{1, 1, 1, 1} || ev.Known.Days != 21 || ev.Known.Today != [NumSeen]bool{} {
		t.Errorf("after midnight %v new, %v days", ev.Known.New, ev.Known.Days)
	}
}

func TestOldAcquaintancesAreForgotten(t *testing.T) {
	var a Acquaintance
	for i := range uint32(seenValues + 1) {
		a.see(SeenDevice, 10+i, int64(100+i))
	}
	if a.knew(SeenDevice, 10, 200) || !a.knew(SeenDevice, 11, 200) || !a.knew(SeenDevice, 10+seenValues, 200) {
		t.Errorf("remembered %+v", a.Values[SeenDevice])
	}
	for range 2 * memoryDays {
		a.Today[SeenDevice] = true
		a.newDay(0)
	}
	// A new device every day: as many as days, about.
	if a.Days != memoryDays || a.New[SeenDevice] < memoryDays-2 || a.New[SeenDevice] > memoryDays {
		t.Errorf("%v of %v days", a.New[SeenDevice], a.Days)
	}
}

// owner makes windows of a user with a credential.
func owner(change func(*schemas.ClientFeatures), credential string) func(*schemas.ClientFeatures) {
	return func(f *schemas.ClientFeatures) {
		change(f)
		f.Client, f.Credential = []byte("user:u1"), []byte(credential)
	}
}

func TestTakeoverBlocksTheCredentialAndTheOwnerGoesOn(t *testing.T) {
	b := newBench(t, nil)
	for d := int64(-20); d < 0; d++ {
		for i := range int64(10) {
			b.feed(record(d*8640+i, true, owner(atHome, "c1")))
		}
	}
	b.feed(record(0, true, owner(atHome, "c1")))
	if len(b.verdicts) > 0 {
		t.Fatalf("decisions before:\n%s", &b.decisions)
	}
	thief := func(f *schemas.ClientFeatures) { owner(abroad, "c1")(f); f.Alternations = 4 }
	b.feed(record(1, false, thief))
	if len(b.verdicts) > 0 {
		t.Fatalf("an open window was judged by who called in it:\n%s", &b.decisions)
	}
	b.feed(record(1, true, thief))
	d := b.take()
	if len(d.verdicts) != 1 || d.verdicts[0].Action != schemas.ActionBlock || d.verdicts[0].Attack != schemas.AttackAccountTakeover {
		t.Fatalf("decisions:\n%s", &d)
	}
	v := d.verdicts[0]
	if v.Entity != (schemas.Entity{Type: "credential", Value: "c1"}) || d.blocks[0].key != "default/credential/c1" {
		t.Errorf("blocks %v under %q", v.Entity, d.blocks[0].key)
	}
	if len(v.Linked) == 0 || v.Linked[0] != (schemas.Entity{Type: "user", Value: "u1"}) {
		t.Errorf("linked to %v", v.Linked)
	}
	// While the credential is blocked its calls are not judged …
	b.feed(record(2, true, thief))
	if d := b.take(); len(d.verdicts) > 0 {
		t.Errorf("judged while blocked:\n%s", &d)
	}
	// … but the owner's are, with another one, at home.
	judged := 0
	b.Observer = func(*schemas.ClientFeatures, float64, *Scores) { judged++ }
	for i := int64(3); i < 9; i++ {
		b.feed(record(i, true, owner(atHome, "c2")))
	}
	if judged != 6 || len(b.verdicts) > 0 {
		t.Errorf("%d of 6 windows of the owner were judged:\n%s", judged, &b.decisions)
	}
}

func TestTakeoverOfAnAddressOrACredentialIsAboutItself(t *testing.T) {
	if tokenOf(record(0, true, func(f *schemas.ClientFeatures) { f.Client, f.Credential = []byte("credential:c1"), []byte("c1") })) != 0 {
		t.Error("a client that is its credential has another one to block")
	}
	if tokenOf(record(0, true, nil)) != 0 {
		t.Error("a credential of a call without one")
	}
	a := tokenOf(record(0, true, owner(atHome, "c1")))
	if b := tokenOf(record(0, true, owner(atHome, "c2"))); a == 0 || a == b {
		t.Errorf("credentials %x and %x", a, b)
	}
}

func TestAcquaintanceThatMakesNoSenseIsRefused(t *testing.T) {
	a := known(3).Known
	data := a.append(nil)
	var b Acquaintance
	if rest, err := b.decode(append(bytes.Clone(data), 1)); err != nil || len(rest) != 1 || a != b {
		t.Errorf("read %+v with %d bytes left, error %v", b, len(rest), err)
	}
	if _, err := b.decode(data[:len(data)-1]); err == nil {
		t.Error("a torn one is read")
	}
	a.New[1] = math.Inf(1)
	if _, err := b.decode(a.append(nil)); err == nil {
		t.Error("an endless one is read")
	}
}
