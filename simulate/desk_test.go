package simulate

import (
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/schemas"
)

func TestExportersDownloadWhatIsTheirsAtNight(t *testing.T) {
	t.Parallel()
	downloads, night, shared := make(map[int]int), 0, make(map[string]int)
	cfg := alone(Mix{Exporter: 1}, 40, 48*time.Hour)
	cfg.Start = time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC) // no month's end
	total := 0
	each(t, cfg, func(ev *schemas.Event, o Origin) {
		if string(ev.Method) != "GET" {
			return
		}
		downloads[o.Index]++
		total++
		if who, ok := shared[string(ev.Path)]; ok && who != o.Index {
			t.Errorf("%s is of two exporters", ev.Path)
		}
		shared[string(ev.Path)] = o.Index
		if ev.Status == 200 && ev.RespBytes < 10_000 {
			t.Errorf("a download of %d bytes", ev.RespBytes)
		}
		for i := range countries {
			if string(countries[i].code) == string(ev.Country) && (ev.Time+countries[i].zone*hour)%day < 8*hour {
				night++
			}
		}
	})
	within(t, "exporters at work on ordinary days", float64(len(downloads)), 15, 35)
	within(t, "downloads a day each", float64(total)/float64(len(downloads))/2, 60, 600)
	within(t, "share of them before eight", float64(night)/float64(total), .95, 1)

	cfg.Start = time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)
	end := make(map[int]bool)
	each(t, cfg, func(_ *schemas.Event, o Origin) { end[o.Index] = true })
	if len(end) <= len(downloads)+4 {
		t.Errorf("%d exporters at a month's end and %d before", len(end), len(downloads))
	}
}

func TestDayOfMonth(t *testing.T) {
	t.Parallel()
	for at := time.Date(1999, 12, 1, 5, 0, 0, 0, time.UTC); at.Year() < 2030; at = at.Add(17 * time.Hour) {
		if got := dayOfMonth(at.UnixMicro()); got != int64(at.Day()) {
			t.Fatalf("%s is on day %d", at, got)
		}
	}
}

func TestAnalystsTurnPages(t *testing.T) {
	t.Parallel()
	all := survey(t, alone(Mix{Analyst: 1}, 40, 24*time.Hour))
	within(t, "median calls of an analyst", float64(median(of(all, ClassAnalyst), func(c *tally) int { return c.calls })), 60, 900)
	within(t, "4xx share of analysts", share(of(all, ClassAnalyst), func(c *tally) int { return c.c4xx }), 0, .02)
}

func TestDashboardsPollAllDay(t *testing.T) {
	t.Parallel()
	for i, c := range survey(t, alone(Mix{Dashboard: 1}, 6, 24*time.Hour)) {
		within(t, "calls of a dashboard", float64(c.calls), 2500, 60_000)
		var gaps []int64
		for k := 1; k < len(c.times); k++ {
			if g := c.times[k] - c.times[k-1]; g > second {
				gaps = append(gaps, g)
			}
		}
		slices.Sort(gaps)
		if m := float64(gaps[len(gaps)/2]) / second; m < 4.5 || m > 10.5 {
			t.Errorf("dashboard %d asks every %.1f s", i, m)
		}
	}
}

func TestTestersMakeNonsenseForAnHour(t *testing.T) {
	t.Parallel()
	status, hours := make(map[int64]int), make(map[int]map[int64]int)
	calls := 0
	each(t, alone(Mix{QA: 1}, 20, 48*time.Hour), func(ev *schemas.Event, o Origin) {
		calls++
		status[ev.Status]++
		if hours[o.Index] == nil {
			hours[o.Index] = make(map[int64]int)
		}
		hours[o.Index][ev.Time/hour]++
	})
	for _, s := range []int64{400, 404, 405} {
		within(t, "share of a tester's 400, 404 or 405", float64(status[s])/float64(calls), .06, .35)
	}
	for i, h := range hours {
		if len(h) > 24 {
			t.Errorf("tester %d was at it in %d of 48 hours", i, len(h))
		}
	}
}

func TestHeartbeatsPostByTheClock(t *testing.T) {
	t.Parallel()
	last, n := make(map[int]int64), 0
	each(t, alone(Mix{Heartbeat: 1}, 6, 2*time.Hour), func(ev *schemas.Event, o Origin) {
		if string(ev.Method) != "POST" || len(ev.Consumer) == 0 {
			t.Fatalf("%s %s by %q", ev.Method, ev.Path, ev.Consumer)
		}
		if at := last[o.Index]; at > 0 {
			gap := float64(ev.Time-at) / second
			if gap > 29.9 && gap < 30.1 || gap > 59.9 && gap < 60.1 {
				n++
			} else if gap > 61 {
				t.Errorf("a gap of %.2f s", gap)
			}
		}
		last[o.Index] = ev.Time
	})
	if n < 6*110 {
		t.Errorf("only %d exact gaps", n)
	}
}

func TestWebhooksCallInBursts(t *testing.T) {
	t.Parallel()
	for i, c := range survey(t, alone(Mix{Webhook: 1}, 6, 24*time.Hour)) {
		bursts, inside := 1, 0
		for k := 1; k < len(c.times); k++ {
			if c.times[k]-c.times[k-1] < 2*second {
				inside++
			} else {
				bursts++
			}
		}
		if bursts < 30 || inside < bursts {
			t.Errorf("webhook receiver %d: %d bursts with %d further calls", i, bursts, inside)
		}
	}
}

func TestRotatorsRenewAtTheHour(t *testing.T) {
	t.Parallel()
	credentials, users := make(map[int]map[string]bool), make(map[int]map[string]bool)
	near, refreshes := 0, 0
	each(t, alone(Mix{Rotator: 1}, 80, 24*time.Hour), func(ev *schemas.Event, o Origin) {
		if credentials[o.Index] == nil {
			credentials[o.Index], users[o.Index] = make(map[string]bool), make(map[string]bool)
		}
		credentials[o.Index][string(ev.Credential)] = true
		users[o.Index][string(ev.User)] = true
		if string(ev.Method) == "POST" {
			if refreshes++; ev.Time%hour < 10*second {
				near++
			}
		}
	})
	within(t, "share of renewals in the first seconds of an hour", float64(near)/float64(refreshes), .93, 1)
	for i := range credentials {
		if len(users[i]) != 1 || len(credentials[i]) < 6 {
			t.Errorf("rotator %d: %d users, %d credentials", i, len(users[i]), len(credentials[i]))
		}
	}
}

func TestWalkersTakeIDsInSequence(t *testing.T) {
	t.Parallel()
	for i, c := range survey(t, alone(Mix{Walker: 1}, 5, 24*time.Hour)) {
		within(t, "objects of a walker", float64(len(c.paths)), 1200, 8600)
		if c.class != ClassWalker || c.c4xx*50 > c.calls {
			t.Errorf("walker %d: %d of %d calls refused", i, c.c4xx, c.calls)
		}
	}
}
