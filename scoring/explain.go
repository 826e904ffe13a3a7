package scoring

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/schemas"
)

// explain lists the numbers behind a verdict: one for each channel that counts,
// the leader's first. A channel's share is that of its evidence.
func explain(j *judgement, leader int, view *Evidence) schemas.Explanation {
	var x schemas.Explanation
	total := 0.0
	for i, e := range j.evidence {
		if i == leader || counts(e, j.evidence[leader]) {
			total += e
		}
	}
	add := func(channel int) {
		r := familyOf(channel).Explain(channel, j.f, &j.context, view)
		share := 1.0
		if total > 0 {
			share = j.evidence[channel] / total
		}
		rest := share
		for _, p := range r.Parts {
			plain(&p)
			p.Contribution *= share
			rest -= p.Contribution
			x.Features = append(x.Features, p)
		}
		r.Feature.Contribution = max(rest, 0)
		x.Features = append(x.Features, r.Feature)
		if channel == leader {
			x.Counterfactual = j.counterfactual(channel, &r)
		}
	}
	add(leader)
	for i, e := range j.evidence {
		if i != leader && counts(e, j.evidence[leader]) {
			add(i)
		}
	}
	lead := x.Features[:max(1, len(x.Features))]
	slices.SortStableFunc(lead[1:], func(a, b schemas.FeatureExplanation) int { return cmp.Compare(b.Contribution, a.Contribution) })
	f := j.f
	if len(f.RareStep) > 0 && (leader == ChannelSteps || j.evidence[ChannelSteps] > corroborates) {
		x.Sequence = fmt.Sprintf("%s, a step with a probability of %.2g", f.RareStep, f.RareStepP)
	}
	if len(f.SkippedStep) > 0 && (leader == ChannelSkipped || j.evidence[ChannelSkipped] > corroborates) {
		x.Sequence = fmt.Sprintf("%s, which %.1f %% of sessions do not leave out", f.SkippedStep, 100*f.SkippedStepP)
	}
	switch {
	case len(f.PayloadSpan) > 0 && f.PayloadHits > 0:
		x.Payload = fmt.Sprintf("%s: %q in %s, %.0f %% sure", f.PayloadClass, f.PayloadSpan, f.PayloadWhere, 100*f.PayloadConfidence)
	case len(f.ViolationWhere) > 0 && f.Violations > 0:
		x.Payload = fmt.Sprintf("%s: %s, p = %.2g", f.ViolationWhere, f.ViolationKind, math.Exp(f.ViolationLogP))
	}
	return x
}

// counts tells whether a channel's evidence is worth naming beside the leader's.
func counts(evidence, leader float64) bool { return evidence > 3 && evidence > leader/4 }

func explainDecoy(j *judgement) schemas.Explanation {
	return schemas.Explanation{
		Features: []schemas.FeatureExplanation{{
			Name: "decoy_calls", Observed: float64(j.f.DayDecoyHits), Contribution: 1, Baseline: "api",
		}},
		Sequence:       string(j.f.Decoy),
		Counterfactual: "Without a call of a decoy it would not have been acted on.",
	}
}

// plain undoes the logarithms of a mix's features: what is read is a number of
// calls and not its logarithm.
func plain(e *schemas.FeatureExplanation) {
	undo := math.Expm1
	switch e.Name {
	case "burst_ratio", "duration_ratio":
		undo = math.Exp
	case "requests", "requests_1m", "requests_15m", "requests_6h", "objects", "response_bytes", "response_bytes_per_call",
		"request_bytes_per_call", "routes_today", "objects_today":
	default:
		return
	}
	e.Observed, e.Expected, e.Low, e.High = undo(e.Observed), undo(e.Expected), undo(e.Low), undo(e.High)
}

// sentence says a verdict in words: who did what, what would have been usual,
// what follows, and how often a benign client looks like this.
func sentence(v *schemas.Verdict, j *judgement, ttl time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s ", v.Entity.Type, v.Entity.Value)
	api := v.API
	if api == "" {
		api = "the API"
	}
	if !j.decoy && j.leader() == ChannelJoint {
		b.WriteString(phraseMix(v.Explanation.Features, api))
	} else {
		b.WriteString(phrase(&v.Explanation.Features[0], j.f, api))
	}
	switch j.rank {
	case RankBlock:
		fmt.Fprintf(&b, ". Blocked for %s", shortDuration(ttl))
	case RankChallenge:
		b.WriteString(". To be challenged")
		if j.shared {
			b.WriteString(" and not blocked, because many users share this address")
		}
	default:
		b.WriteString(". To be throttled")
	}
	c := j.ladder.calibration
	switch {
	case v.Calibration.Kind == Rule:
		b.WriteString(": nobody is told of that route.")
	case v.PValue <= 1/float64(c.N+1):
		fmt.Fprintf(&b, ": none of %s benign client-days looked like this.", thousands(c.N))
	default:
		fmt.Fprintf(&b, ": about one benign client-day in %s looks like this.", thousands(int(1/v.PValue)))
	}
	return b.String()
}

func phrase(e *schemas.FeatureExplanation, f *schemas.ClientFeatures, api string) string {
	usual, would := whose(e.Baseline), wouldOf(e.Baseline)
	window := (f.WindowEnd - f.WindowStart) / 1e6
	switch e.Name {
	case shareNames[ShareLogin]:
		who := ""
		if f.DayLoginUsers >= 2 {
			who = fmt.Sprintf(" against %.0f user names", f.DayLoginUsers)
		}
		return fmt.Sprintf("failed %.0f logins on %s%s, where at most %.0f of as many attempts fail for benign clients", e.Observed, api, who, e.High)
	case "repeated_login_failures":
		return fmt.Sprintf("failed %.0f logins on %s with user names that it had tried before, where people give up after about %.0f", e.Observed, api, e.Expected)
	case shareNames[ShareDenied]:
		return fmt.Sprintf("was denied %.0f times on %s, where at most %.0f of as many calls are denied to benign clients", e.Observed, api, e.High)
	case shareNames[ShareMissing]:
		return fmt.Sprintf("asked %s %.0f times for what does not exist or makes no sense, where benign clients do so at most %.0f times in as many calls", api, e.Observed, e.High)
	case shareNames[ShareWalk]:
		return fmt.Sprintf("walked %.0f object ids of %s in sequence, where at most %.0f would be usual", e.Observed, api, e.High)
	case shareNames[ShareObjectDenied]:
		return fmt.Sprintf("named objects of %s that it may not see or that do not exist %.0f times, where at most %.0f would be usual", api, e.Observed, e.High)
	case shareNames[ShareSlow]:
		return fmt.Sprintf("made %.0f calls to %s that took many times as long as their routes usually do, where at most %.0f would be usual", e.Observed, api, e.High)
	case shareNames[ShareLargeRequest]:
		return fmt.Sprintf("sent %s %.0f bodies many times larger than their routes usually get, where at most %.0f would be usual", api, e.Observed, e.High)
	case shareNames[ShareLargeResponse]:
		return fmt.Sprintf("got %.0f responses of %s many times larger than their routes usually give, where at most %.0f would be usual", e.Observed, api, e.High)
	case shareNames[ShareSkipped]:
		return fmt.Sprintf("left out steps %.0f times on %s%s, where at most %.0f would be usual", e.Observed, api, aside("last: ", f.SkippedStep), e.High)
	case shareNames[ShareStructure]:
		return fmt.Sprintf("broke the structure of %s's parameters in %.0f calls%s, where at most %.0f would be usual", api, e.Observed, aside("last: ", f.ViolationWhere, f.ViolationKind), e.High)
	case "distinct_objects":
		return fmt.Sprintf("went through %.0f objects of %s, %s go through %s in as many windows", e.Observed, api, would, short(e.Expected))
	case "object_writes":
		return fmt.Sprintf("changed or deleted objects of %s %.0f times, %s do so %s times in as many windows", api, e.Observed, would, short(e.Expected))
	case "requests":
		return fmt.Sprintf("made %.0f calls to %s within %d s, %s %s", e.Observed, api, window, usual, short(e.Expected))
	case "requests_run":
		return fmt.Sprintf("made %.0f calls to %s, %s make %s in as many windows", e.Observed, api, would, short(e.Expected))
	case "requests_15m":
		return fmt.Sprintf("made about %.0f calls to %s in a quarter of an hour, %s %s", e.Observed, api, usual, short(e.Expected))
	case "response_bytes_15m":
		return fmt.Sprintf("took %s from %s in a quarter of an hour, %s %s", size(e.Observed), api, usual, size(e.Expected))
	case "response_bytes_today":
		return fmt.Sprintf("took %s from %s today, a little more each time, %s take %s in as many windows", size(e.Observed), api, would, size(e.Expected))
	case "request_bytes_15m":
		return fmt.Sprintf("sent %s to %s in a quarter of an hour, %s %s", size(e.Observed), api, usual, size(e.Expected))
	case "response_seconds_15m":
		return fmt.Sprintf("kept %s busy for %s s in a quarter of an hour, %s %s s", api, short(e.Observed), usual, short(e.Expected))
	case "interval_entropy":
		return fmt.Sprintf("repeats state-changing calls to %s every %s with the regularity of a machine: %.1f bits an interval over %d intervals, where people show %.1f",
			api, shortDuration(time.Duration(f.IntervalMean*float64(time.Second))), e.Observed, f.Intervals, e.Expected)
	case "step_surprise":
		return fmt.Sprintf("takes a way through %s that others do not take%s", api, aside("least likely: ", f.RareStep))
	case "identity_surprise":
		return fmt.Sprintf("was used on %s by a device and from a place%s that it was never seen with on %d days before", api, aside("", f.ClientIP, f.Country), e.N)
	case "attack_values":
		return fmt.Sprintf("sent %s %.0f calls with values that look like attacks%s", api, e.Observed, aside("last: ", f.PayloadClass, f.PayloadWhere))
	case "decoy_calls":
		return fmt.Sprintf("called a decoy of %s%s", api, aside("", f.Decoy))
	}
	return fmt.Sprintf("shows %s of %s on %s, %s %s", strings.ReplaceAll(e.Name, "_", " "), short(e.Observed), api, usual, short(e.Expected))
}

// phraseMix says which features make a mix unusual, none of which need be so by
// itself: those before the mix's own number.
func phraseMix(features []schemas.FeatureExplanation, api string) string {
	var parts []string
	for i := range features {
		e := &features[i]
		if e.Name == "unusual_mix" || len(parts) == 3 || !slices.Contains(mixFeatures[:], e.Name) {
			continue
		}
		amount := short
		if strings.Contains(e.Name, "bytes") {
			amount = size
		}
		parts = append(parts, fmt.Sprintf("%s of %s where %s would go with the rest", strings.ReplaceAll(e.Name, "_", " "), amount(e.Observed), amount(e.Expected)))
	}
	if len(parts) == 0 {
		return fmt.Sprintf("shows a mix of calls on %s that no benign client shows", api)
	}
	return fmt.Sprintf("shows an unusual mix on %s: %s", api, strings.Join(parts, ", "))
}

// aside puts what is known of some texts into brackets, before a comma or the
// end of the sentence.
func aside(lead string, texts ...[]byte) string {
	var known []string
	for _, t := range texts {
		if len(t) > 0 {
			known = append(known, string(t))
		}
	}
	if len(known) == 0 {
		return ""
	}
	return " (" + lead + strings.Join(known, ", ") + ")"
}

// wouldOf begins what would have been usual in as much time.
func wouldOf(baseline string) string {
	switch baseline {
	case "self":
		return "where it would usually"
	case "api":
		return "where this API's clients would"
	}
	return "where clients of its kind would"
}

func whose(baseline string) string {
	switch baseline {
	case "self":
		return "where its own habit is"
	case "api":
		return "where this API's clients show"
	}
	return "where clients of its kind show"
}

func short(x float64) string {
	if x >= 10 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 2, 64)
}

func size(bytes float64) string {
	unit, name := unitOf(bytes)
	return short(bytes/unit) + " " + name
}

// sizeBelow is size, rounded down.
func sizeBelow(bytes float64) string {
	unit, name := unitOf(bytes)
	return short(twoDigits(bytes/unit, math.Floor)) + " " + name
}

func unitOf(bytes float64) (unit float64, name string) {
	switch {
	case bytes >= 1<<40:
		return 1 << 40, "TiB"
	case bytes >= 1<<30:
		return 1 << 30, "GiB"
	case bytes >= 1<<20:
		return 1 << 20, "MiB"
	case bytes >= 1<<10:
		return 1 << 10, "KiB"
	}
	return 1, "bytes"
}

// shortDuration is a duration without zero units: "1h", "1m30s", "12s".
func shortDuration(d time.Duration) string {
	s := d.Round(time.Second).String()
	if d < 10*time.Second {
		s = d.Round(100 * time.Millisecond).String()
	}
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// thousands writes 30000 as "30,000".
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
