package eval

import (
	"time"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring"
)

// stuffingPaces are the times between failed logins that are tried.
func stuffingPaces() []time.Duration {
	return []time.Duration{200 * time.Millisecond, 5 * time.Second, time.Minute, 30 * time.Minute}
}

// mostFailures is where counting failures ends.
const mostFailures = 60

// stuffingFailures is the most failed logins that any client gets through before
// its block, at any pace, under a policy: the count matters, the pace does not.
func stuffingFailures(model *scoring.Model, policy scoring.Policy) (int, error) {
	worst := 0
	for _, client := range []string{features.ClientIP, features.ClientDevice, features.ClientSession} {
		for _, pace := range stuffingPaces() {
			n, err := failuresUntilBlock(model, policy, client, pace)
			if err != nil {
				return 0, err
			}
			worst = max(worst, n)
		}
	}
	return worst, nil
}

func failuresUntilBlock(model *scoring.Model, policy scoring.Policy, client string, pace time.Duration) (int, error) {
	start := time.Date(2026, 3, 4, 0, 5, 0, 0, time.UTC)
	ev := schemas.NewEvent()
	ev.API, ev.Method, ev.Path, ev.Status = []byte("bank"), []byte("POST"), []byte("/v1/login"), 401
	ev.ClientIP = []byte("203.0.113.7")
	switch client {
	case features.ClientDevice:
		ev.JA4, ev.UserAgent = []byte("t13d1516h2_000000000000_000000000000"), []byte("curl/8.5")
	case features.ClientSession:
		ev.Session = []byte("5e55")
	}
	entity := schemas.SplitEntity(string(features.AppendClientKey(nil, ev)))
	report := NewReport([]schemas.Label{{
		EntityType: entity.Type, Entity: entity.Value, Attack: schemas.AttackCredentialStuffing,
		Start: start, End: start.Add(mostFailures * pace),
	}}, 0)
	e, err := NewEngine(Setup{Model: model, Policy: policy, Clients: 100}, report, nil)
	if err != nil {
		return 0, err
	}
	for n := 1; n < mostFailures; n++ {
		ev.Time = start.Add(time.Duration(n) * pace).UnixMicro()
		e.Event(ev, Unknown())
		if report.all[0].blocked {
			return n, nil
		}
	}
	return mostFailures, nil
}
