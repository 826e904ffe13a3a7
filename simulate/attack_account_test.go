package simulate

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/schemas"
)

func TestThievesUseTheVictimsAccountFromElsewhere(t *testing.T) {
	for _, variant := range Variants(schemas.AttackAccountTakeover) {
		cfg := DefaultConfig()
		cfg.Clients, cfg.Duration, cfg.Mix = 300, 48*time.Hour, Mix{Human: 1}
		cfg.Attacks = []AttackSpec{{Name: schemas.AttackAccountTakeover, Variant: variant, Start: 30 * time.Hour}}
		g := mustNew(t, cfg)
		labels := g.Labels()
		if len(labels) != 1 || labels[0].EntityType != "user" {
			t.Fatalf("%s: labels %v", variant, labels)
		}
		own := map[string]map[string]bool{"asn+country": {}, "ja4": {}, "agent": {}, "credential": {}}
		var stolen, last, afterwards string
		hostile, benign := 0, 0
		ev := schemas.NewEvent()
		for g.Next(ev) {
			if string(ev.User) != labels[0].Entity {
				continue
			}
			if o, _ := g.Origin(ev.ID); o.Attack == "" {
				benign++
				own["asn+country"][string(ev.Country)] = true
				own["ja4"][string(ev.JA4)] = true
				own["agent"][string(ev.UserAgent)] = true
				last = string(ev.Credential)
				if hostile > 0 {
					afterwards = last
				}
				continue
			}
			if hostile++; stolen == "" {
				stolen = string(ev.Credential)
				if variant != "password" && last != "" && stolen != last {
					t.Errorf("%s: the credential used is not the one the victim has", variant)
				}
			}
			if own["asn+country"][string(ev.Country)] && len(own["asn+country"]) == 1 || own["ja4"][string(ev.JA4)] {
				t.Errorf("%s: from %s with %s, which the victim has", variant, ev.Country, ev.JA4)
			}
			if variant == "cookie" && (string(ev.CredentialType) != "cookie" || !own["agent"][string(ev.UserAgent)] && len(own["agent"]) > 0) {
				t.Errorf("cookie of type %s in %s", ev.CredentialType, ev.UserAgent)
			}
		}
		if hostile < 10 || benign == 0 {
			t.Errorf("%s: %d hostile and %d benign calls", variant, hostile, benign)
		}
		if variant == "password" && stolen == afterwards {
			t.Error("a login of one's own gives the victim's token")
		}
	}
}

func TestThiefReadsTheProfileThenPays(t *testing.T) {
	evs := strike(t, AttackSpec{Name: schemas.AttackAccountTakeover, Variant: "password"})
	if string(evs[0].Path) != "/v1/login" || evs[0].Status != 200 {
		t.Errorf("begins with %s", evs[0].Path)
	}
	var order []string
	for _, e := range evs[1:] {
		order = append(order, string(e.Method)+" "+string(e.Path))
	}
	profile, payee, pay := slices.Index(order, "GET /v1/profile"), slices.Index(order, "POST /v1/payees"), slices.Index(order, "POST /v1/transfers")
	if !(profile == 0 && payee > profile && pay > payee) {
		t.Errorf("order of calls %v", order)
	}
	pace := float64(evs[len(evs)-1].Time-evs[0].Time) / second / float64(len(evs))
	within(t, "seconds a call", pace, 3, 15)
}

func TestTakeoverWithoutPeopleBringsItsVictim(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Clients, cfg.Mix = 3, Mix{Probe: 1}
	cfg.Attacks = []AttackSpec{{Name: schemas.AttackAccountTakeover, Start: time.Hour}}
	if l := mustNew(t, cfg).Labels(); len(l) != 1 {
		t.Errorf("labels %v", l)
	}
}

// minutes adds up an account's bytes by minute.
func minutes(g *Generator, user string) map[int64]float64 {
	out := make(map[int64]float64)
	for ev := schemas.NewEvent(); g.Next(ev); {
		if string(ev.User) == user {
			out[ev.Time/int64(minute)] += float64(ev.RespBytes)
		}
	}
	return out
}

func TestSlowExfiltrationTakesTwoSigma(t *testing.T) {
	for _, c := range []struct{ intensity, z float64 }{{.25, 1}, {1, 2}, {4, 4}} {
		cfg := DefaultConfig()
		cfg.Clients, cfg.Duration = 20, 96*time.Hour
		cfg.Attacks = []AttackSpec{{Name: schemas.AttackSlowExfiltration, Start: 72 * time.Hour, Intensity: c.intensity}}
		g := mustNew(t, cfg)
		l := g.Labels()[0]
		start, end := l.Start.UnixMicro()/int64(minute), l.End.UnixMicro()/int64(minute)
		if l.End.Sub(l.Start) < 10*time.Hour {
			t.Errorf("lasts %s", l.End.Sub(l.Start))
		}
		var before, during []float64
		for m, bytes := range minutes(g, l.Entity) {
			switch {
			case m < 72*60+cfg.Start.Unix()/60 && bytes > 0:
				before = append(before, math.Log(bytes))
			case m > start && m <= end:
				during = append(during, math.Log(bytes))
			}
		}
		slices.Sort(before) // map order must not matter to the sums
		mean, sd := 0.0, 0.0
		for _, x := range before {
			mean += x / float64(len(before))
		}
		for _, x := range before {
			sd += (x - mean) * (x - mean) / float64(len(before)-1)
		}
		sd = math.Sqrt(sd)
		if len(before) < 60 || len(during) < 15 {
			t.Fatalf("%d active minutes before and %d during", len(before), len(during))
		}
		// Minutes that were above the aim anyway stay as they were.
		slices.Sort(during)
		within(t, "deviations in the median minute", (during[len(during)/2]-mean)/sd, c.z-.1, c.z+.1)
		within(t, "deviations in the lowest minute", (during[0]-mean)/sd, c.z-.3, c.z+.1)
	}
}

func TestBoilingFrogGrowsByTwoPercentADay(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Clients, cfg.Duration = 5, 40*24*time.Hour
	cfg.Attacks = []AttackSpec{{Name: schemas.AttackDataExfiltration, Variant: "boiling-frog", Start: time.Hour}}
	g := mustNew(t, cfg)
	var days [40]float64
	for src, ev := attackers(g), schemas.NewEvent(); src.Next(ev); {
		if len(ev.User) > 0 {
			days[(ev.Time-cfg.Start.UnixMicro())/int64(day)]++
		}
	}
	within(t, "calls on the first day", days[0], 38, 42)
	within(t, "growth in 35 days", days[35]/days[0], 1.9, 2.1)
}

func TestFramingsNameAttackerAndVictim(t *testing.T) {
	for _, name := range Framings() {
		cfg := DefaultConfig()
		cfg.Clients, cfg.Duration = 200, 18*time.Hour
		cfg.Attacks = []AttackSpec{{Name: name, Start: 9 * time.Hour}}
		g := mustNew(t, cfg)
		victims := g.Victims()
		labels := g.Labels()
		if len(victims) == 0 || len(labels) != 1 || labels[0].EntityType != "device" {
			t.Fatalf("%s: victims %v, labels %v", name, victims, labels)
		}
		for _, v := range victims {
			if v.Type == labels[0].EntityType && v.Value == labels[0].Entity {
				t.Errorf("%s labels its victim", name)
			}
		}
		if !slices.Contains(Attacks(), labels[0].Attack) {
			t.Errorf("%s is labelled %s", name, labels[0].Attack)
		}
		named, calls, benign := 0, 0, 0
		for ev := schemas.NewEvent(); g.Next(ev); {
			seen := 0
			for _, v := range victims {
				var in bool
				switch v.Type {
				case "user":
					in = string(ev.LoginUser) == v.Value || string(ev.User) == v.Value
				case "ip":
					in = bytes.Contains(ev.XFF, []byte(v.Value))
				case "consumer":
					in = string(ev.Consumer) == v.Value
				}
				if in {
					seen++
				}
			}
			if o, _ := g.Origin(ev.ID); o.Attack != "" {
				if calls++; seen > 0 {
					named++
				}
				if ev.Status != 401 || len(ev.User) > 0 || len(ev.Credential) > 0 {
					t.Errorf("%s proves who it is: %d", name, ev.Status)
				}
			} else if seen > 0 {
				benign++
			}
		}
		if calls < 100 || named != calls || benign == 0 {
			t.Errorf("%s: %d of %d calls name a victim with %d calls", name, named, calls, benign)
		}
	}
}

func TestVictimsDifferBetweenAttacks(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Clients = 600
	for range 6 {
		cfg.Attacks = append(cfg.Attacks, AttackSpec{Name: schemas.AttackAccountTakeover})
	}
	cfg.Attacks = append(cfg.Attacks, AttackSpec{Name: "framing-login"}, AttackSpec{Name: "framing-xff"})
	g := mustNew(t, cfg)
	seen := make(map[string]bool)
	for _, l := range g.Labels()[:6] {
		if seen[l.Entity] {
			t.Errorf("%s is robbed twice", l.Entity)
		}
		seen[l.Entity] = true
	}
	for _, v := range g.Victims() {
		if seen[v.Value] {
			t.Errorf("%s is robbed and framed", v.Value)
		}
	}
}
