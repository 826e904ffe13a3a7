package features

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// merged sums partials up as a reader of the aggregates topic does: the last
// record of an entity, window and source counts, sources add up.
func merged(t *testing.T, records []*schemas.Aggregate) map[string]*schemas.Aggregate {
	t.Helper()
	latest := map[string]*schemas.Aggregate{}
	var order []string
	for _, a := range records {
		if len(a.EntityType) == 0 {
			continue
		}
		k := fmt.Sprintf("%s|%s|%d|%d", a.Tenant, entityName(a), a.WindowStart, a.Source)
		if latest[k] == nil {
			order = append(order, k)
		}
		latest[k] = a
	}
	out := map[string]*schemas.Aggregate{}
	for _, k := range order {
		a := latest[k]
		whole := fmt.Sprintf("%s|%s|%d", a.Tenant, entityName(a), a.WindowStart)
		m := out[whole]
		if m == nil {
			m = new(schemas.Aggregate)
			*m = *a
			m.Source = 0
			m.Clients, m.FailedClients, m.LoginUsers = slices.Clone(a.Clients), slices.Clone(a.FailedClients), slices.Clone(a.LoginUsers)
			m.NewClients = slices.Clone(a.NewClients)
			m.Latency = slices.Clone(a.Latency)
			out[whole] = m
			continue
		}
		if !bytes.Equal(m.API, a.API) {
			m.API = nil
		}
		for _, p := range [][2]*uint64{
			{&m.Requests, &a.Requests}, {&m.Status2xx, &a.Status2xx}, {&m.Status4xx, &a.Status4xx}, {&m.Status5xx, &a.Status5xx},
			{&m.AuthDenied, &a.AuthDenied}, {&m.NotFound, &a.NotFound}, {&m.LoginAttempts, &a.LoginAttempts},
			{&m.LoginFailures, &a.LoginFailures}, {&m.ReqBytes, &a.ReqBytes}, {&m.RespBytes, &a.RespBytes},
			{&m.LoginSuccesses, &a.LoginSuccesses}, {&m.Identified, &a.Identified}, {&m.Anonymous, &a.Anonymous},
			{&m.Plain, &a.Plain}, {&m.Errors, &a.Errors}, {&m.Verbose, &a.Verbose},
		} {
			*p[0] += *p[1]
		}
		m.Clients = MergeRegisters(m.Clients, a.Clients)
		m.FailedClients = MergeRegisters(m.FailedClients, a.FailedClients)
		m.LoginUsers = MergeRegisters(m.LoginUsers, a.LoginUsers)
		m.NewClients = MergeRegisters(m.NewClients, a.NewClients)
		for len(m.Latency) < len(a.Latency) {
			m.Latency = append(m.Latency, 0)
		}
		for i, n := range a.Latency {
			m.Latency[i] += n
		}
	}
	return out
}

// entityName tells entities apart: those of an API by that API too.
func entityName(a *schemas.Aggregate) string {
	name := string(a.EntityType) + "|" + string(a.Entity)
	if schemas.PerAPI(a.EntityType) && string(a.EntityType) != schemas.EntityAPI {
		name += "@" + string(a.API)
	}
	return name
}

func text(m map[string]*schemas.Aggregate) map[string]string {
	out := map[string]string{}
	for k, a := range m {
		out[k] = string(a.AppendProto(nil))
	}
	return out
}

func TestPartialsOfPartitionsSumToTheWhole(t *testing.T) {
	events := traffic(61, 5000)
	for i, ev := range events {
		ev.e.JA4, ev.e.ASN = []byte("j"+fmt.Sprint(i%7)), int64(64500+i%3)
		ev.e.Credential = fmt.Appendf(nil, "c%d", i%11)
		if i%50 == 0 {
			ev.e.API = []byte("shop")
		}
	}
	run := func(partitions int, events []timed) []*schemas.Aggregate {
		var out capture
		xs := make([]*Extractor, partitions)
		for i := range xs {
			cfg := testConfig()
			cfg.Source = int32(i)
			xs[i], _ = New(cfg)
		}
		for i, ev := range events {
			k := AppendClientKey(nil, ev.e)
			if got := xs[(len(k)+int(k[len(k)-1]))%partitions].Apply(ev.e, ev.t, int64(i), &out); got != Applied {
				t.Fatalf("outcome %d", got)
			}
		}
		for _, x := range xs {
			x.Flush(&out)
		}
		return out.aggregates
	}
	want := merged(t, run(1, events))
	if len(want) < 1000 {
		t.Fatalf("only %d aggregates", len(want))
	}
	parts := run(4, shuffle(events, 2*second, 3))
	slices.Reverse(parts) // sources in another order
	got := merged(t, parts)
	gotText, wantText := text(got), text(want)
	for k, w := range wantText {
		if gotText[k] != w {
			t.Fatalf("%s:\npartitions %+v\nwhole      %+v", k, got[k], want[k])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d aggregates from partitions, %d from the whole", len(got), len(want))
	}
}

func TestAggregateCountsOneOfEach(t *testing.T) {
	s := newStage(t, testConfig())
	at := int64(start - start%(60*second))
	for i, status := range []int64{200, 302, 403, 403, 404, 410, 500, 0} {
		s.call(fmt.Sprintf("u%d", i), at+int64(i), func(e *schemas.Event) {
			e.Status, e.ReqBytes, e.RespBytes, e.DurationUS = status, 10, 100, 1000
			e.Credential, e.ASN, e.JA4 = []byte("key"), 64500, []byte("j")
		})
	}
	for i, status := range []int64{200, 403, 200} {
		s.call("", at+100+int64(i), func(e *schemas.Event) {
			e.Method, e.Path, e.LoginUser, e.Status, e.ReqBytes = []byte("POST"), []byte("/login"), fmt.Appendf(nil, "l%d", i), status, schemas.Unknown
		})
	}
	s.x.Flush(s)
	got := merged(t, s.aggregates)
	for entity, kinds := range map[string]struct {
		requests, denied, missing, logins, refused uint64
		clients, failed, users                     float64
	}{
		"ip|10.0.0.1":         {11, 2, 2, 3, 1, 9, 3, 2},
		"network|10.0.0.0/24": {11, 2, 2, 3, 1, 9, 3, 2},
		"cohort|64500|j@bank": {8, 2, 2, 0, 0, 8, 2, 0},
		"credential|key":      {8, 2, 2, 0, 0, 8, 2, 0},
		"user|l1":             {1, 0, 0, 1, 1, 1, 1, 0},
		"api|bank":            {11, 2, 2, 3, 1, 9, 3, 2},
	} {
		a := got[fmt.Sprintf("default|%s|%d", entity, at)]
		if a == nil {
			t.Errorf("%s has no aggregate", entity)
			continue
		}
		if a.Requests != kinds.requests || a.AuthDenied != kinds.denied || a.NotFound != kinds.missing || a.LoginAttempts != kinds.logins || a.LoginFailures != kinds.refused {
			t.Errorf("%s: %+v, want %+v", entity, a, kinds)
		}
		for name, pair := range map[string][2]float64{
			"clients": {EstimateRegisters(a.Clients), kinds.clients}, "failed": {EstimateRegisters(a.FailedClients), kinds.failed},
			"login users": {EstimateRegisters(a.LoginUsers), kinds.users},
		} {
			if d := pair[0] - pair[1]; d > 1 || d < -1 {
				t.Errorf("%s: %.1f %s, want %.0f", entity, pair[0], name, pair[1])
			}
		}
		if string(a.API) != "bank" {
			t.Errorf("%s: API %q", entity, a.API)
		}
	}
	api := got[fmt.Sprintf("default|api|bank|%d", at)]
	// A millisecond lies between 2^(19/2) and 2^(20/2) µs.
	if len(api.Latency) != 20 || api.Latency[19] != 8 || api.ReqBytes != 80 || api.RespBytes != 800 {
		t.Errorf("latency %v, %d and %d bytes", api.Latency, api.ReqBytes, api.RespBytes)
	}
	if api.Status2xx != 3 || api.Status4xx != 5 || api.Status5xx != 1 {
		t.Errorf("status classes %+v", api)
	}
	if ip := got[fmt.Sprintf("default|ip|10.0.0.1|%d", at)]; len(ip.Latency) != 0 {
		t.Errorf("latency of an address: %v", ip.Latency)
	}
}

func TestEntityThatCallsSeveralAPIsNamesNone(t *testing.T) {
	s := newStage(t, testConfig())
	s.call("u", start, nil)
	s.call("v", start+1, func(e *schemas.Event) { e.API = []byte("shop") })
	s.call("w", start+2, nil)
	s.x.Flush(s)
	for _, a := range s.aggregates {
		if string(a.EntityType) == schemas.EntityIP && len(a.API) > 0 {
			t.Errorf("an address that called two APIs names %q", a.API)
		}
	}
}

func TestWindowsOfAggregatesAreAligned(t *testing.T) {
	s := newStage(t, testConfig())
	for i := range 200 {
		s.call("u", start+int64(i)*second, nil)
	}
	s.x.Flush(s)
	seen := map[string]int{}
	mark := int64(0)
	for _, a := range s.aggregates {
		want := int64(testHop)
		switch string(a.EntityType) {
		case "":
			if a.WindowEnd <= mark {
				t.Errorf("mark %d after %d", a.WindowEnd, mark)
			}
			mark = a.WindowEnd
			continue
		case schemas.EntityIP, schemas.EntityNetwork, schemas.EntityRoute:
			want = 6 * testHop
		}
		seen[string(a.EntityType)]++
		if a.WindowEnd-a.WindowStart != want || a.WindowStart%want != 0 {
			t.Errorf("%s: window %d to %d", a.EntityType, a.WindowStart, a.WindowEnd)
		}
		if a.WindowEnd <= mark {
			t.Errorf("%s: window to %d after the mark of %d", a.EntityType, a.WindowEnd, mark)
		}
	}
	if seen["ip"] < 4 || seen["api"] < 20 {
		t.Errorf("aggregates %v", seen)
	}
}

func TestOverflowIsCountedAndNothingIsLost(t *testing.T) {
	cfg := testConfig()
	cfg.Entities, cfg.Shards = 64, 4
	s := newStage(t, cfg)
	const n = 3000
	at := int64(start - start%(60*second))
	for i := range n {
		s.call("", at+int64(i), func(e *schemas.Event) {
			e.User, e.ClientIP = nil, fmt.Appendf(nil, "10.%d.%d.1", i/256, i%256)
			e.Tenant = fmt.Appendf(nil, "t%d", i%2)
		})
	}
	held := 0
	for _, sh := range s.x.shards {
		held += len(sh.entities.cells)
	}
	if limit := 64 + 4*2*len(entityTypes); held > limit {
		t.Errorf("%d aggregates are held, at most %d allowed", held, limit)
	}
	s.x.Flush(s)
	if s.x.Stats.Overflow == 0 {
		t.Fatal("nothing overflowed")
	}
	total := map[string]uint64{}
	overflowed := map[string]bool{}
	for _, a := range merged(t, s.aggregates) {
		total[string(a.EntityType)+" "+string(a.Tenant)] += a.Requests
		if strings.HasPrefix(string(a.Entity), OverflowEntity) {
			overflowed[string(a.EntityType)] = true
		}
	}
	for _, k := range []string{"ip t0", "ip t1", "network t0", "network t1", "api t0"} {
		if total[k] != n/2 {
			t.Errorf("%s: %d calls over all aggregates, want %d", k, total[k], n/2)
		}
	}
	if !overflowed["ip"] || !overflowed["network"] {
		t.Errorf("overflow under %v", overflowed)
	}
}
