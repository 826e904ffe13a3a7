package scoring

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/schemas"
)

// sentence says a verdict in words: who did what, what would have been usual,
// what follows, and how often a benign client looks like this.
func sentence(v *schemas.Verdict, j *judgement, ttl time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s ", v.Entity.Type, v.Entity.Value)
	api := v.API
	if api == "" {
		api = "the API"
	}
	if len(v.Explanation.Features) == 0 {
		fmt.Fprintf(&b, "behaves unlike its baseline on %s", api)
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
	rate := 1 / v.PValue
	if v.PValue <= 1/float64(c.N+1) {
		fmt.Fprintf(&b, ": none of %s benign client-days looked like this.", thousands(c.N))
	} else {
		fmt.Fprintf(&b, ": about one benign client-day in %s looks like this.", thousands(int(rate)))
	}
	return b.String()
}

func phrase(e *schemas.FeatureExplanation, f *schemas.ClientFeatures, api string) string {
	usual := whose(e.Baseline)
	switch e.Name {
	case outcomeNames[outcomeLogin]:
		who := ""
		if f.DayLoginUsers >= 2 {
			who = fmt.Sprintf(" against %.0f user names", f.DayLoginUsers)
		}
		return fmt.Sprintf("failed %.0f logins on %s%s, where at most %.0f of as many attempts fail for benign clients", e.Observed, api, who, e.High)
	case outcomeNames[outcomeDenied]:
		return fmt.Sprintf("was denied %.0f times on %s, where at most %.0f of as many calls are denied to benign clients", e.Observed, api, e.High)
	case outcomeNames[outcomeMissing]:
		return fmt.Sprintf("asked %s %.0f times for what does not exist or makes no sense, where at most %.0f of as many calls do for benign clients", api, e.Observed, e.High)
	case "sequential_objects":
		return fmt.Sprintf("walked %.0f object ids of %s in sequence, where at most %.0f would be usual", e.Observed, api, e.High)
	case "denied_objects":
		return fmt.Sprintf("named %.0f objects of %s that it may not see or that do not exist, where at most %.0f would be usual", e.Observed, api, e.High)
	case "distinct_objects":
		return fmt.Sprintf("read %.0f different objects of %s within %d s, %s %.0f", e.Observed, api, (f.WindowEnd-f.WindowStart)/1e6, usual, e.Expected)
	case "requests":
		return fmt.Sprintf("made %.0f calls to %s within %d s, %s %s", e.Observed, api, (f.WindowEnd-f.WindowStart)/1e6, usual, short(e.Expected))
	case "requests_15m":
		return fmt.Sprintf("made about %.0f calls to %s in a quarter of an hour, %s %s", e.Observed, api, usual, short(e.Expected))
	case "response_bytes_15m":
		return fmt.Sprintf("took %s from %s in a quarter of an hour, %s %s", size(e.Observed), api, usual, size(e.Expected))
	case "interval_entropy":
		return fmt.Sprintf("repeats state-changing calls to %s every %s with the regularity of a machine: %.1f bits an interval over %d intervals, where people show %.1f",
			api, shortDuration(time.Duration(f.IntervalMean*float64(time.Second))), e.Observed, f.Intervals, e.Expected)
	}
	return fmt.Sprintf("shows %s of %s on %s, %s %s", e.Name, short(e.Observed), api, usual, short(e.Expected))
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
	for _, u := range []struct {
		at   float64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if bytes >= u.at {
			return short(bytes/u.at) + " " + u.name
		}
	}
	return short(bytes) + " bytes"
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
