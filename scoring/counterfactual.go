package scoring

import (
	"fmt"
	"math"
	"strings"
)

// bearable tells whether a channel's feature could have been x without the
// action; alone, if every other channel had shown nothing.
func (j *judgement) bearable(channel int, r *Reason, x float64, alone bool) bool {
	s := j.scores
	if alone {
		s = Scores{}
	}
	s[channel] = r.At(x)
	var parts Scores
	return j.ladder.calibration.combine(&s, &parts) <= j.ladder.at[j.rank]
}

// limit is how far the feature behind the leading channel could have gone without
// the action: towards the observed from the expected. Where other channels would
// have led to it as well, alone says that they must be as usual.
func (j *judgement) limit(channel int, r *Reason) (x float64, alone, ok bool) {
	lo, hi := r.Feature.Expected, r.Feature.Observed
	if alone = !j.bearable(channel, r, lo, false); alone && !j.bearable(channel, r, lo, true) {
		return 0, alone, false
	}
	bearable := func(x float64) bool { return j.bearable(channel, r, x, alone) }
	for range 60 {
		mid := (lo + hi) / 2
		if bearable(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo, alone, true
}

// counterfactual says in words how far the leading feature could have gone.
func (j *judgement) counterfactual(channel int, r *Reason) string {
	lo, alone, ok := j.limit(channel, r)
	if !ok {
		return ""
	}
	e := &r.Feature
	done := map[Rank]string{RankThrottle: "throttled", RankChallenge: "challenged", RankBlock: "blocked"}[j.rank]
	name := strings.ReplaceAll(e.Name, "_", " ")
	if said, ok := quantities[e.Name]; ok {
		name = said
	}
	besides := ""
	if alone {
		besides = ", and the rest as usual,"
	}
	// Rounded to the safe side: what is said must bear the rung.
	switch {
	case r.Of > 0:
		return fmt.Sprintf("With at most %.0f %s of %.0f%s it would not have been %s.", math.Floor(lo+1e-9), name, r.Of, besides, done)
	case e.Observed < e.Expected:
		return fmt.Sprintf("With %s or more %s%s it would not have been %s.", short(twoDigits(lo, math.Ceil)), name, besides, done)
	case strings.Contains(e.Name, "_bytes_"):
		return fmt.Sprintf("With at most %s %s%s it would not have been %s.", sizeBelow(lo), name, besides, done)
	case !continuous[e.Name]:
		return fmt.Sprintf("With at most %.0f %s%s it would not have been %s.", math.Floor(lo+1e-9), name, besides, done)
	}
	return fmt.Sprintf("With at most %s %s%s it would not have been %s.", short(twoDigits(lo, math.Floor)), name, besides, done)
}

// continuous are the features that are no counts.
var continuous = map[string]bool{
	"response_seconds_15m": true, "interval_entropy": true, "step_surprise": true, "identity_surprise": true, "unusual_mix": true,
}

// quantities are what a number of a feature counts, where its name does not say.
var quantities = map[string]string{
	"requests":                "calls in the window",
	"requests_run":            "calls over the same windows",
	"requests_15m":            "calls in a quarter of an hour",
	"response_bytes_15m":      "of responses in a quarter of an hour",
	"response_bytes_today":    "of responses over the same windows",
	"request_bytes_15m":       "of request bodies in a quarter of an hour",
	"response_seconds_15m":    "seconds of response time in a quarter of an hour",
	"distinct_objects":        "objects over the same windows",
	"object_writes":           "changes of objects over the same windows",
	"interval_entropy":        "bits an interval",
	"repeated_login_failures": "failures with user names that it had tried before",
	"step_surprise":           "nats of surprise a step",
	"identity_surprise":       "nats of strangeness of device and place",
	"attack_values":           "calls with such values",
	"unusual_mix":             "nats of unusualness over the same windows",
}

// twoDigits rounds x to two digits, or to whole numbers above 100, by Floor or
// Ceil.
func twoDigits(x float64, round func(float64) float64) float64 {
	if x <= 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(x))-1)
	if unit > 1 {
		unit = 1
	}
	// What lies on a step stays there whatever the search for it left over.
	if n := math.Round(x / unit); math.Abs(x/unit-n) < 1e-9 {
		return n * unit
	}
	return round(x/unit) * unit
}
