package simulate

import (
	"bytes"
	"testing"
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
)

// each passes every event of a simulation on with its origin.
func each(t testing.TB, cfg Config, f func(ev *schemas.Event, o Origin)) {
	t.Helper()
	g := mustNew(t, cfg)
	ev := schemas.NewEvent()
	for g.Next(ev) {
		o, ok := g.Origin(ev.ID)
		if !ok {
			t.Fatalf("no origin of %s", ev.ID)
		}
		f(ev, o)
	}
}

// alone is a simulation of some clients of a mix.
func alone(m Mix, clients int, duration time.Duration) Config {
	cfg := DefaultConfig()
	cfg.Mix, cfg.Clients, cfg.Duration = m, clients, duration
	return cfg
}

func TestPowerUsersAreManyTimesAMedianPerson(t *testing.T) {
	t.Parallel()
	all := survey(t, alone(Mix{Human: 1, Power: 1}, 200, 2*24*time.Hour))
	calls := func(c *tally) int { return c.calls }
	usual := float64(median(of(all, ClassHuman), calls))
	power := of(all, ClassPower)
	within(t, "median power user against a median person", float64(median(power, calls))/usual, 10, 50)
	most := 0
	for _, c := range power {
		most = max(most, c.calls)
	}
	within(t, "greatest power user against a median person", float64(most)/usual, 35, 300)
}

func TestVPNUsersHopEveryDay(t *testing.T) {
	t.Parallel()
	type day1 struct {
		client int
		day    int64
	}
	countries, exits := make(map[day1]string), make(map[string]map[int]bool)
	asns := make(map[int64]bool)
	each(t, alone(Mix{VPN: 1}, 200, 5*24*time.Hour), func(ev *schemas.Event, o Origin) {
		countries[day1{o.Index, ev.Time / day}] = string(ev.Country)
		asns[ev.ASN] = true
		if exits[string(ev.ClientIP)] == nil {
			exits[string(ev.ClientIP)] = make(map[int]bool)
		}
		exits[string(ev.ClientIP)][o.Index] = true
	})
	moved, days := 0, 0
	for k, c := range countries {
		if next, ok := countries[day1{k.client, k.day + 1}]; ok {
			if days++; next != c {
				moved++
			}
		}
	}
	within(t, "share of days on which a VPN user is in another country", float64(moved)/float64(days), .75, 1)
	most := 0
	for _, who := range exits {
		most = max(most, len(who))
	}
	if most < 3 || len(asns) < 15 {
		t.Errorf("%d people by one exit, %d providers", most, len(asns))
	}
}

func TestDevicesChangeUnderOneAccount(t *testing.T) {
	t.Parallel()
	devices := make(map[int]map[string]bool)
	users := make(map[int]map[string]bool)
	each(t, alone(Mix{Devices: 1}, 60, 5*24*time.Hour), func(ev *schemas.Event, o Origin) {
		if devices[o.Index] == nil {
			devices[o.Index], users[o.Index] = make(map[string]bool), make(map[string]bool)
		}
		devices[o.Index][string(ev.JA4)+string(ev.UserAgent)] = true
		if len(ev.User) > 0 {
			users[o.Index][string(ev.User)] = true
		}
	})
	several := 0
	for i, d := range devices {
		if len(d) > 1 {
			several++
		}
		if len(users[i]) > 1 {
			t.Errorf("client %d is %d users", i, len(users[i]))
		}
	}
	within(t, "share with more than one device", float64(several)/float64(len(devices)), .7, 1)
}

// failures are the runs of refused logins of each client, with the times.
func failures(t *testing.T, cfg Config) map[int][][]int64 {
	t.Helper()
	runs := make(map[int][][]int64)
	open := make(map[int][]int64)
	each(t, cfg, func(ev *schemas.Event, o Origin) {
		switch {
		case len(ev.LoginUser) > 0 && ev.Status == 401:
			open[o.Index] = append(open[o.Index], ev.Time)
		case len(ev.LoginUser) > 0 || bytes.HasSuffix(ev.Path, []byte("/reset")) || bytes.HasSuffix(ev.Path, []byte("/password")):
			if len(open[o.Index]) > 0 {
				runs[o.Index] = append(runs[o.Index], open[o.Index])
			}
			open[o.Index] = nil
		}
	})
	return runs
}

func TestPasswordManagersRepeatAnOldPassword(t *testing.T) {
	t.Parallel()
	cfg := alone(Mix{Manager: 1}, 150, 48*time.Hour)
	long := 0
	for _, runs := range failures(t, cfg) {
		for _, r := range runs {
			if len(r) > 8 {
				t.Errorf("%d tries in one go", len(r))
			}
			if len(r) < 3 {
				continue // a slip of the hand
			}
			long++
			if took := r[len(r)-1] - r[0]; took > 40*second {
				t.Errorf("%d tries took %.0f s", len(r), float64(took)/second)
			}
		}
	}
	within(t, "runs of an old password", float64(long), 10, 120)
	resets := 0
	each(t, cfg, func(ev *schemas.Event, _ Origin) {
		if p := string(ev.Path); p == "/v1/password/reset" || p == "/api/password" {
			if resets++; len(ev.User) > 0 || len(ev.LoginUser) > 0 {
				t.Errorf("a reset that names somebody: %s", ev.ID)
			}
		}
	})
	within(t, "new passwords asked for", float64(resets), float64(long)*.6, float64(long)*2)
}

func TestStaleAppsBackOff(t *testing.T) {
	t.Parallel()
	long := 0
	for i, runs := range failures(t, alone(Mix{Stale: 1}, 60, 4*24*time.Hour)) {
		for _, r := range runs {
			if len(r) < 8 {
				continue
			}
			long++
			first, later := r[1]-r[0], r[5]-r[4]
			if first > 10*second || later < first*8 || later > 20*minute {
				t.Errorf("client %d waits %.0f s and then %.0f s", i, float64(first)/second, float64(later)/second)
			}
		}
	}
	within(t, "runs of eight and more refused passwords", float64(long), 8, 200)
}

func TestDoublersSendFormsTwice(t *testing.T) {
	t.Parallel()
	type form struct {
		path string
		at   int64
	}
	twice := func(m Mix) (share float64) {
		last, n, posts := make(map[int]form), 0, 0
		each(t, alone(m, 120, 48*time.Hour), func(ev *schemas.Event, o Origin) {
			if string(ev.Method) == "GET" || len(ev.LoginUser) > 0 {
				return
			}
			posts++
			if f := last[o.Index]; f.path == string(ev.Path) && ev.Time-f.at < 5*second {
				n++
			}
			last[o.Index] = form{string(ev.Path), ev.Time}
		})
		return float64(n) / float64(posts)
	}
	within(t, "share of doubled forms of doublers", twice(Mix{Doubler: 1}), .06, .4)
	within(t, "share of doubled forms of others", twice(Mix{Human: 1}), 0, .03)
}

func TestFailedLoginsBehindLargeNetworks(t *testing.T) {
	t.Parallel()
	behind, fails := make(map[string]map[int]bool), make(map[string]int)
	each(t, alone(Mix{Office: 1, Carrier: 1}, 1600, 14*time.Hour), func(ev *schemas.Event, o Origin) {
		ip := string(ev.ClientIP)
		if behind[ip] == nil {
			behind[ip] = make(map[int]bool)
		}
		behind[ip][o.Index] = true
		if len(ev.LoginUser) > 0 && ev.Status == 401 {
			fails[ip]++
		}
	})
	largest, most := 0, 0
	for ip, who := range behind {
		largest, most = max(largest, len(who)), max(most, fails[ip])
		if len(who) > 500 {
			t.Errorf("%d people behind %s", len(who), ip)
		}
	}
	within(t, "people behind the largest network", float64(largest), 200, 500)
	within(t, "failed logins from one address in a day", float64(most), 15, 300)
}

func TestKiosksServeManyAccounts(t *testing.T) {
	t.Parallel()
	users, devices := make(map[int]map[string]bool), make(map[int]map[string]bool)
	each(t, alone(Mix{Kiosk: 1}, 10, 24*time.Hour), func(ev *schemas.Event, o Origin) {
		if users[o.Index] == nil {
			users[o.Index], devices[o.Index] = make(map[string]bool), make(map[string]bool)
		}
		if len(ev.User) > 0 {
			users[o.Index][string(ev.User)] = true
		} else {
			devices[o.Index][string(features.AppendClientKey(nil, ev))] = true
		}
	})
	for i := range users {
		within(t, "accounts of a kiosk", float64(len(users[i])), 6, kioskAccounts)
		if len(devices[i]) != 1 {
			t.Errorf("kiosk %d is %d devices", i, len(devices[i]))
		}
	}
}
