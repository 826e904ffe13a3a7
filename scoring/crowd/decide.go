package crowd

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/weir-dev/weir/schemas"
)

// finding is why a cohort is acted on.
type finding struct {
	attack    string
	action    schemas.Action
	evidence  float64 // nats
	explained float64 // share of the excess, or of the cohort's logins that are bad
	benign    float64 // benign clients a window, by the baseline
	clients   float64 // clients a window
	run       *loginRun
}

func utc(us int64) time.Time { return time.UnixMicro(us).UTC() }

// verdictID names what was found of an entity in a window.
func verdictID(p *api, kind, value, attack string, window int64) string {
	h := sha256.New()
	for _, part := range []string{p.tenant, kind, value, p.name, attack, Model} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(window)))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// verdict begins a verdict about the window at hand.
func (c *Crowd) verdict(p *api, start, end int64, kind, value, attack string) *schemas.Verdict {
	v := &schemas.Verdict{
		ID: verdictID(p, kind, value, attack, start), Time: utc(end), Tenant: p.tenant,
		Entity: schemas.Entity{Type: kind, Value: value}, API: p.name,
		Attack: attack, Action: schemas.ActionObserve, Enforced: c.enforced(p),
		Calibration: schemas.Calibration{
			Kind: "extrapolated", N: int(p.level.learnt), Stratum: "crowd",
			Alpha: float64(c.cfg.Hop) / float64(c.cfg.RunLength.Microseconds()),
		},
		Model: Model, WindowStart: utc(start), WindowEnd: utc(end),
	}
	if !v.Enforced {
		v.Held = heldShadow
	}
	return v
}

// heldShadow is why nothing is enforced in shadow mode, as scorers write it.
const heldShadow = "shadow"

// act takes an action on a cohort: a verdict, and an entry of the blocklist.
func (c *Crowd) act(j *judging, g *group, f finding, out Emitter) {
	p := j.p
	s := &j.joint[g.members[0]]
	asn, print := "", ""
	if g.dim != dimPrint {
		asn = s.asn
	}
	if g.dim != dimNetwork {
		print = s.print
	}
	value := string(schemas.AppendCohortValue(nil, []byte(asn), []byte(print), []byte(p.name)))
	v := c.verdict(p, j.start, j.end, schemas.ScopeCohort, value, f.attack)
	v.Action = f.action
	v.PValue = math.Exp(-f.evidence)
	v.Confidence = 1 - max(v.PValue, f.benign/max(f.clients, 1))
	v.Linked = append(v.Linked, schemas.Entity{Type: schemas.EntityAPI, Value: p.name})
	if asn != "" {
		v.Linked = append(v.Linked, schemas.Entity{Type: schemas.EntityASN, Value: asn})
	}
	if print != "" && !strings.HasPrefix(print, "ua:") {
		v.Linked = append(v.Linked, schemas.Entity{Type: schemas.EntityJA4, Value: print})
	}
	until := j.end + c.cfg.TTL.Microseconds()
	v.ExpiresAt = utc(until)

	collateral := f.benign / max(f.clients, f.benign, 1e-9)
	ofAPI := f.benign / max(p.usualClients(), 1e-9)
	v.Explanation.Features = c.numbers(j, g, &f)
	who := strings.TrimSuffix(value, ",api="+p.name)
	if f.attack == schemas.AttackDistributedDoS {
		v.Explanation.Cohort = fmt.Sprintf("%s holds %.0f %% of the excess; by its baseline %.2g %% of its clients are benign, %.2g %% of the API's",
			who, 100*min(f.explained, 1), 100*collateral, 100*ofAPI)
		v.Explanation.Text = fmt.Sprintf("%s to %s: %.0f calls by %.0f clients in %.0f s, %.1f expected, in a flood of %.0f calls where %.0f are usual.",
			who, p.name, g.calls, g.clients, float64(c.cfg.Hop)/1e6, g.expected, float64(j.total.requests), j.mean)
		v.Explanation.Counterfactual = fmt.Sprintf("With at most %.0f calls in the window it would not have been acted on.",
			max(quantileCounts(0.999, max(g.expected, leastCohort), sizeCohort), j.mean*leastRise))
	} else {
		failed, _ := p.failureRate()
		v.Explanation.Cohort = fmt.Sprintf("%s: %.0f %% of its logins are bad by their successes; by its baseline %.2g %% of its clients are benign, %.2g %% of the API's",
			who, 100*f.explained, 100*collateral, 100*ofAPI)
		v.Explanation.Text = fmt.Sprintf("%s to %s: %.0f of %.0f logins failed, where %.0f %% are usual, spread over many clients.",
			who, p.name, f.run.failures, f.run.logins, 100*failed)
		v.Explanation.Counterfactual = fmt.Sprintf("With at most %.0f failed logins of %.0f it would not have been acted on.",
			math.Floor(f.run.logins*min(3*failed, 0.9)), f.run.logins)
	}

	b := p.standing(g.dim, g.name)
	if b == nil {
		b = &block{dim: g.dim, name: g.name, relapse: -1}
		p.blocks = append(p.blocks, b)
	}
	*b = block{
		dim: g.dim, name: g.name, value: value, attack: f.attack, action: f.action, id: v.ID, reason: v.Explanation.Text,
		confidence: v.Confidence, created: j.end, until: until, benign: f.benign,
		peak: max(g.calls-g.expected, 0), relapse: b.relapse + 1,
	}
	out.Verdict(v)
	c.write(p, b, out)
}

// numbers are the observed and expected figures of a cohort's verdict.
func (c *Crowd) numbers(j *judging, g *group, f *finding) []schemas.FeatureExplanation {
	n := int(j.p.level.learnt)
	var out []schemas.FeatureExplanation
	add := func(name string, observed, expected, low, high, contribution float64) {
		out = append(out, schemas.FeatureExplanation{
			Name: name, Observed: observed, Expected: expected, Low: low, High: high,
			Contribution: contribution, Baseline: "api", N: n,
		})
	}
	if r := f.run; r != nil {
		failed, _ := j.p.failureRate()
		low, high := band99(max(r.logins*failed, 1e-3), concentration)
		add("login_failures", r.failures, r.logins*failed, low, min(high, r.logins), 1)
		add("cohort_clients", f.clients, f.benign, f.benign, f.benign, 0)
		return out
	}
	low, high := band99(max(g.expected, leastCohort), sizeCohort)
	add("cohort_requests", g.calls, g.expected, low, high, min(max(f.explained, 0), 1))
	add("cohort_clients", g.clients, g.benign, 0, max(g.benign, c.cfg.CohortCollateral*g.clients), 0)
	low, high = band99(j.mean, j.size)
	add("api_requests", float64(j.total.requests), j.mean, low, high, 1-min(max(f.explained, 0), 1))
	return append(out, c.health(j)...)
}

// health are the figures of how the API itself fares.
func (c *Crowd) health(j *judging) []schemas.FeatureExplanation {
	p, n := j.p, int(j.p.broken.n)
	sd := 2.576 * math.Sqrt(p.broken.vari)
	out := []schemas.FeatureExplanation{{
		Name: "api_5xx_share", Observed: float64(j.total.status5xx) / max(float64(j.total.requests), 1), Expected: p.broken.mean,
		Low: max(p.broken.mean-sd, 0), High: min(p.broken.mean+sd, 1), Baseline: "api", N: n,
	}}
	if q := quantileLatency(j.total.latency, 0.95); q > 0 && p.slow.n > 0 {
		sd = 2.576 * math.Sqrt(p.slow.vari)
		out = append(out, schemas.FeatureExplanation{
			Name: "api_latency_p95_us", Observed: q, Expected: math.Exp(p.slow.mean),
			Low: math.Exp(p.slow.mean - sd), High: math.Exp(p.slow.mean + sd), Baseline: "api", N: int(p.slow.n),
		})
	}
	return out
}

// report tells of an excess that no cohort may be acted on for.
func (c *Crowd) report(j *judging, attack string, excess float64, out Emitter) {
	p := j.p
	v := c.verdict(p, j.start, j.end, schemas.EntityAPI, p.name, attack)
	n := int(p.level.learnt)
	if attack == schemas.AttackDistributedDoS {
		v.PValue = math.Exp(-max(p.cusum[0], p.cusum[1]))
		low, high := band99(j.mean, j.size)
		sd := 2.576 * math.Sqrt(p.fresh.vari)
		v.Explanation.Features = append([]schemas.FeatureExplanation{
			{Name: "api_requests", Observed: float64(j.total.requests), Expected: j.mean, Low: low, High: high, Contribution: 1, Baseline: "api", N: n},
			{Name: "api_new_clients", Observed: j.fresh, Expected: p.fresh.mean, Low: max(p.fresh.mean-sd, 0), High: p.fresh.mean + sd, Baseline: "api", N: int(p.fresh.n)},
		}, c.health(j)...)
		v.Explanation.Cohort = "no handful of networks and fingerprints explains the excess"
		if len(j.chosen) > 0 {
			names := make([]string, len(j.chosen))
			for i, g := range j.chosen {
				names[i] = g.name
			}
			v.Explanation.Cohort = "the excess is held by " + strings.Join(names, ", ") + ", which too many benign clients share to be acted on"
		}
		v.Explanation.Text = fmt.Sprintf("%s has %.0f calls in %.0f s where %.0f are usual, and %.0f new clients where %.0f are: a crowd, or a flood that looks like one. Nobody was blocked.",
			p.name, float64(j.total.requests), float64(c.cfg.Hop)/1e6, j.mean, j.fresh, p.fresh.mean)
	} else {
		v.PValue = math.Exp(-p.loginCUSUM)
		failed, _ := p.failureRate()
		low, high := band99(max(float64(j.total.logins)*failed, 1e-3), concentration)
		v.Explanation.Features = []schemas.FeatureExplanation{{
			Name: "login_failures", Observed: excess, Expected: float64(j.total.logins) * failed,
			Low: low, High: min(high, float64(j.total.logins)), Contribution: 1, Baseline: "api", N: n,
		}}
		v.Explanation.Cohort = "no network or fingerprint could be acted on"
		v.Explanation.Text = fmt.Sprintf("Logins to %s have been failing far more than the usual %.0f %%, spread over clients that share nothing that could be blocked.", p.name, 100*failed)
	}
	v.Confidence = 1 - v.PValue
	out.Verdict(v)
}
