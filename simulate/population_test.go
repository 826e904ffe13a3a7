package simulate

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/schemas"
)

// tally is what one client did.
type tally struct {
	class                                Class
	calls, c4xx, c404, c5xx, posts       int
	logins, fails, longestFails, run     int
	times                                []int64
	paths, addresses, devices, countries map[string]bool
}

func survey(t *testing.T, cfg Config) map[int]*tally {
	t.Helper()
	g := mustNew(t, cfg)
	out := make(map[int]*tally)
	ev := schemas.NewEvent()
	for g.Next(ev) {
		o, ok := g.Origin(ev.ID)
		if !ok || o.Class == "" {
			continue
		}
		c := out[o.Index]
		if c == nil {
			c = &tally{class: o.Class, paths: map[string]bool{}, addresses: map[string]bool{}, devices: map[string]bool{}, countries: map[string]bool{}}
			out[o.Index] = c
		}
		c.calls++
		c.times = append(c.times, ev.Time)
		c.addresses[string(ev.ClientIP)] = true
		c.devices[string(ev.JA4)] = true
		c.countries[string(ev.Country)] = true
		switch {
		case ev.Status >= 500 || ev.Status == 0:
			c.c5xx++
		case ev.Status >= 400:
			c.c4xx++
		}
		if ev.Status == 404 {
			c.c404++
		}
		if string(ev.Method) != "GET" {
			c.posts++
		} else {
			c.paths[string(ev.Path)] = true
		}
		if len(ev.LoginUser) > 0 {
			c.logins++
			if len(ev.User) > 0 || len(ev.Credential) > 0 {
				t.Fatalf("login %s is authenticated", ev.ID)
			}
			if ev.Status >= 400 && ev.Status < 500 {
				c.fails++
				c.run++
				c.longestFails = max(c.longestFails, c.run)
			} else {
				c.run = 0
			}
		}
	}
	return out
}

func of(all map[int]*tally, class Class) []*tally {
	var out []*tally
	for i := range MaxClients {
		c, ok := all[i]
		if ok && c.class == class {
			out = append(out, c)
		}
		if i > 10_000 {
			break
		}
	}
	return out
}

func share(cs []*tally, part func(*tally) int) float64 {
	n, all := 0, 0
	for _, c := range cs {
		n += part(c)
		all += c.calls
	}
	return float64(n) / float64(max(all, 1))
}

func median(cs []*tally, of func(*tally) int) int {
	var v []int
	for _, c := range cs {
		v = append(v, of(c))
	}
	if slices.Sort(v); len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}

func within(t *testing.T, what string, got, low, high float64) {
	t.Helper()
	if !(got >= low && got <= high) {
		t.Errorf("%s is %.4g, want %g to %g", what, got, low, high)
	}
}

func TestPopulationBehavesByClass(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Clients = 1000
	all := survey(t, cfg)
	calls := func(c *tally) int { return c.calls }
	bad := func(c *tally) int { return c.c4xx }
	broken := func(c *tally) int { return c.c5xx }

	for _, class := range dealt {
		cs := of(all, class)
		if len(cs) == 0 {
			t.Fatalf("no %s made a call", class)
		}
		within(t, string(class)+"'s 5xx share", share(cs, broken), 0, .02)
	}

	people := of(all, ClassHuman)
	within(t, "median calls of a human", float64(median(people, calls)), 12, 45)
	within(t, "4xx share of humans", share(people, bad), .006, .04)
	most := 0
	for _, c := range people {
		most = max(most, c.calls)
	}
	within(t, "calls of the busiest human", float64(most), 150, 3000)
	within(t, "failed share of humans' logins", func() float64 {
		fails, logins := 0, 0
		for _, c := range people {
			fails, logins = fails+c.fails, logins+c.logins
		}
		return float64(fails) / float64(logins)
	}(), .02, .15)

	forgot, longest := 0, 0
	for _, c := range of(all, ClassForgetful) {
		if c.fails > 0 {
			forgot++
		}
		longest = max(longest, c.longestFails)
	}
	within(t, "forgetful people with failures", float64(forgot)/float64(len(of(all, ClassForgetful))), .3, .98)
	within(t, "longest run of failures", float64(longest), 3, 14)

	mobiles := of(all, ClassMobile)
	within(t, "median calls of a mobile", float64(median(mobiles, calls)), 35, 140)
	within(t, "POST share of mobiles", share(mobiles, func(c *tally) int { return c.posts }), .01, .12)

	partners := of(all, ClassPartner)
	within(t, "median distinct paths of a partner", float64(median(partners, func(c *tally) int { return len(c.paths) })), 250, 3000)
	within(t, "4xx share of partners", share(partners, bad), 0, .02)

	within(t, "404 share of crawlers", share(of(all, ClassCrawler), func(c *tally) int { return c.c404 }), .05, .13)
	within(t, "median posts of a job", float64(median(of(all, ClassJob), func(c *tally) int { return c.posts })), 3, 60)

	abroad := 0
	for _, c := range of(all, ClassTraveller) {
		if len(c.addresses) > 1 || len(c.devices) > 1 {
			abroad++
		}
	}
	within(t, "travellers who moved", float64(abroad)/float64(len(of(all, ClassTraveller))), .2, 1)
}

func TestOfficesAndCarriersShareAddresses(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Clients, cfg.Mix = 1200, Mix{Human: 1, Office: 1, Carrier: 1}
	all := survey(t, cfg)
	behind := func(class Class) (most int) {
		n := make(map[string]int)
		for _, c := range of(all, class) {
			for a := range c.addresses {
				n[a]++
				most = max(most, n[a])
			}
		}
		return most
	}
	// Not everybody calls on a given day.
	within(t, "people behind an office's address", float64(behind(ClassOffice)), 12, 500)
	within(t, "people behind a carrier's address", float64(behind(ClassCarrier)), 60, 500)
	if n := behind(ClassHuman); n > 3 {
		t.Errorf("%d humans behind one address", n)
	}
}

func TestProbesKeepTheirInterval(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Clients, cfg.Mix, cfg.Duration = 4, Mix{Probe: 1}, time.Hour
	for i, c := range survey(t, cfg) {
		period := float64(c.times[len(c.times)-1]-c.times[0]) / float64(len(c.times)-1) / second
		if off := math.Abs(period - math.Round(period/15)*15); off > .01 {
			t.Errorf("probe %d asks every %.3f s", i, period)
		}
	}
}

func TestPeopleSleepAtNight(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Clients, cfg.Mix, cfg.Duration = 400, Mix{Office: 1}, 7*24*time.Hour
	var weekday, weekend int
	for _, c := range survey(t, cfg) {
		for _, at := range c.times {
			if time.UnixMicro(at).UTC().Weekday()%6 == 0 {
				weekend++
			} else {
				weekday++
			}
		}
	}
	if weekend*5 > weekday {
		t.Errorf("offices made %d calls on the weekend and %d else", weekend, weekday)
	}

	cfg.Mix = Mix{Human: 1}
	hours := make([]int, 24)
	for _, c := range survey(t, cfg) {
		for _, at := range c.times {
			hours[at%day/hour]++
		}
	}
	// Ten countries blur the day but do not level it.
	if low, high := slices.Min(hours), slices.Max(hours); high < low*3/2 {
		t.Errorf("calls by hour range only from %d to %d", low, high)
	}
}

func TestActivityAndSurgesBringMorePeople(t *testing.T) {
	t.Parallel()
	count := func(cfg Config) (n int) {
		for _, c := range survey(t, cfg) {
			n += c.calls
		}
		return n
	}
	cfg := DefaultConfig()
	cfg.Clients, cfg.Mix, cfg.Duration = 300, Mix{Human: 1}, 6*time.Hour
	base := count(cfg)
	cfg.Activity = 8
	within(t, "factor of activity 8", float64(count(cfg))/float64(base), 4, 12)
	cfg.Activity = 1
	cfg.Surges = []Surge{{Start: 2 * time.Hour, Duration: time.Hour, Factor: 20}}
	if n := count(cfg); n < base*2 {
		t.Errorf("%d calls with a surge, %d without", n, base)
	}
}

func TestFirstMinuteIsAlive(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Clients, cfg.Duration, cfg.Activity = 500, time.Minute, 20
	if n := len(survey(t, cfg)); n < 40 {
		t.Errorf("only %d clients in the first minute", n)
	}
}

func TestTemplatesAreOnOneAPIOnly(t *testing.T) {
	t.Parallel()
	g := mustNew(t, DefaultConfig())
	ev := schemas.NewEvent()
	for i := 0; i < 20_000 && g.Next(ev); i++ {
		if bank := string(ev.API) == "bank"; bank != (len(ev.Route) > 0) && !bytes.HasSuffix(ev.Path, []byte("robots.txt")) {
			t.Fatalf("%s has route %q on %s", ev.ID, ev.Route, ev.API)
		}
	}
}

func TestRareClassesAppearEarly(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Clients = 250
	seen, people := make(map[Class]int), 0
	for _, c := range mustNew(t, cfg).Clients() {
		if seen[c.Class]++; c.Class.Person() {
			people++
		}
	}
	for _, class := range dealt {
		if seen[class] == 0 {
			t.Errorf("no %s among 250", class)
		}
	}
	if seen[ClassHuman] < 75 || seen[ClassProbe] > 2 || people < 200 {
		t.Errorf("%d humans and %d probes among 250, %d people in all", seen[ClassHuman], seen[ClassProbe], people)
	}
}
