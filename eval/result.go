package eval

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/weir-dev/weir/scoring/guarantee"
)

// Instance is the result for one attack: the labelled entities that carry it.
type Instance struct {
	Attack, Variant string
	Start           time.Time
	Entities        int // labelled
	Blocked         int // of those, blocked in time
	Named           int // of those, with the attack's name on the first block
	// First is the time from the instance's first hostile call to the first block
	// of any entity of it; meaningless without one.
	First time.Duration
	// Requests and Seconds are, for each blocked entity, from its first hostile
	// call to its block.
	Requests, Seconds []float64
	// Served counts hostile calls answered with 2xx, Attempts login attempts;
	// Before are those up to their entity's block.
	Served, ServedBefore     int
	Attempts, AttemptsBefore int
}

// Found tells whether any entity of the attack was blocked in time.
func (in *Instance) Found() bool { return in.Blocked > 0 }

// MedianDelay is the median of Seconds; 0 without any.
func (in *Instance) MedianDelay() time.Duration {
	return time.Duration(quantile(in.Seconds, .5) * float64(time.Second))
}

// ClassCount counts the client-days of a class of benign clients.
type ClassCount struct{ Days, Blocked int }

// Collateral counts what blocks of shared entities (addresses, devices, cohorts)
// did to benign people.
type Collateral struct {
	Shared   int `json:"shared_blocks"` // blocks of shared entities
	Hurting  int `json:"hurting"`       // of those, with benign people behind them
	People   int `json:"people"`        // benign people refused by them
	Baseless int `json:"baseless"`      // blocks of cohorts that refused no attacker
}

// Result is what a Report found; Results of several runs add up.
type Result struct {
	Instances  []Instance
	Classes    map[string]ClassCount
	Collateral Collateral
}

// Result sums the report up.
func (r *Report) Result() *Result {
	out := &Result{Classes: map[string]ClassCount{}}
	for _, group := range r.groups() {
		out.Instances = append(out.Instances, r.instance(group))
	}
	for _, d := range r.days {
		c := out.Classes[d.class]
		c.Days++
		if d.blocked {
			c.Blocked++
		}
		out.Classes[d.class] = c
	}
	people := map[string]bool{}
	for _, b := range r.active.all {
		if !b.shared {
			continue
		}
		out.Collateral.Shared++
		if len(b.people) > 0 {
			out.Collateral.Hurting++
		}
		if b.conditions != nil && b.hostile == 0 && !b.hit {
			out.Collateral.Baseless++
		}
		maps.Copy(people, b.people)
	}
	out.Collateral.People = len(people)
	return out
}

// groups are the labels of each instance: by number where calls told it, else by
// attack and start.
func (r *Report) groups() [][]*labelled {
	ordered := slices.Clone(r.all)
	slices.SortStableFunc(ordered, func(a, b *labelled) int {
		return cmp.Or(cmp.Compare(a.label.Attack, b.label.Attack), cmp.Compare(a.instance, b.instance), a.label.Start.Compare(b.label.Start))
	})
	var groups [][]*labelled
	for i, l := range ordered {
		if i > 0 {
			p := ordered[i-1]
			if p.label.Attack == l.label.Attack && p.instance == l.instance && (l.instance >= 0 || l.label.Start.Sub(p.label.Start) <= r.gap) {
				groups[len(groups)-1] = append(groups[len(groups)-1], l)
				continue
			}
		}
		groups = append(groups, []*labelled{l})
	}
	return groups
}

func (r *Report) instance(labels []*labelled) Instance {
	in := Instance{Attack: labels[0].label.Attack, Start: labels[0].label.Start, Entities: len(labels)}
	if i := labels[0].instance; i >= 0 && i < len(r.names) {
		in.Variant = r.names[i]
	}
	var first time.Time
	for _, l := range labels {
		if l.label.Start.Before(in.Start) {
			in.Start = l.label.Start
		}
		if l.blocked {
			in.Blocked++
			if l.named {
				in.Named++
			}
			in.Seconds = append(in.Seconds, l.at.Sub(l.label.Start).Seconds())
			if first.IsZero() || l.at.Before(first) {
				first = l.at
			}
		}
		before := 0
		for _, c := range l.calls {
			early := !l.blocked || c.time <= l.at.UnixMicro()
			if early {
				before++
			}
			count(c.served, early, &in.Served, &in.ServedBefore)
			count(c.signIn, early, &in.Attempts, &in.AttemptsBefore)
		}
		if l.blocked {
			in.Requests = append(in.Requests, float64(before))
		}
	}
	if in.Found() {
		in.First = first.Sub(in.Start)
	}
	return in
}

func count(what, early bool, all, before *int) {
	if !what {
		return
	}
	*all++
	if early {
		*before++
	}
}

// Add adds another run's result.
func (r *Result) Add(o *Result) {
	r.Instances = append(r.Instances, o.Instances...)
	if r.Classes == nil {
		r.Classes = map[string]ClassCount{}
	}
	for name, c := range o.Classes {
		sum := r.Classes[name]
		r.Classes[name] = ClassCount{sum.Days + c.Days, sum.Blocked + c.Blocked}
	}
	r.Collateral.Shared += o.Collateral.Shared
	r.Collateral.Hurting += o.Collateral.Hurting
	r.Collateral.People += o.Collateral.People
	r.Collateral.Baseless += o.Collateral.Baseless
}

// AttackRow is a line of the recall table.
type AttackRow struct {
	Attack      string  `json:"attack"`
	Variant     string  `json:"variant,omitempty"`
	Instances   int     `json:"instances"`
	Found       int     `json:"found"`
	Recall      float64 `json:"recall"`
	Low         float64 `json:"low"` // 95 % Clopper-Pearson of Recall
	High        float64 `json:"high"`
	Entities    int     `json:"entities"`
	Blocked     int     `json:"blocked"`
	Named       int     `json:"named"`
	RequestsP50 float64 `json:"requests_p50"` // of a blocked entity, to its block
	RequestsP90 float64 `json:"requests_p90"`
	SecondsP50  float64 `json:"seconds_p50"`
	SecondsP90  float64 `json:"seconds_p90"`
	// Damage is the share of hostile calls answered with 2xx that came before
	// their entity's block; Attempts the same of login attempts. -1: none made.
	Damage   float64 `json:"damage"`
	Attempts float64 `json:"attempts"`
}

// Attacks is the recall table, by attack and variant in order of their first
// appearance.
func (r *Result) Attacks() []AttackRow {
	type key struct{ attack, variant string }
	groups := map[key][]*Instance{}
	var order []key
	for i := range r.Instances {
		in := &r.Instances[i]
		k := key{in.Attack, in.Variant}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], in)
	}
	rows := make([]AttackRow, 0, len(order))
	for _, k := range order {
		rows = append(rows, attackRow(k.attack, k.variant, groups[k]))
	}
	return rows
}

func attackRow(attack, variant string, instances []*Instance) AttackRow {
	row := AttackRow{Attack: attack, Variant: variant, Instances: len(instances)}
	var requests, seconds []float64
	var served, servedBefore, attempts, attemptsBefore int
	for _, in := range instances {
		if in.Found() {
			row.Found++
		}
		row.Entities += in.Entities
		row.Blocked += in.Blocked
		row.Named += in.Named
		requests, seconds = append(requests, in.Requests...), append(seconds, in.Seconds...)
		served, servedBefore = served+in.Served, servedBefore+in.ServedBefore
		attempts, attemptsBefore = attempts+in.Attempts, attemptsBefore+in.AttemptsBefore
	}
	row.Recall = share(row.Found, row.Instances)
	row.Low, row.High = guarantee.ClopperPearson(row.Found, row.Instances, 0.95)
	row.RequestsP50, row.RequestsP90 = quantile(requests, .5), quantile(requests, .9)
	row.SecondsP50, row.SecondsP90 = quantile(seconds, .5), quantile(seconds, .9)
	row.Damage, row.Attempts = share(servedBefore, served), share(attemptsBefore, attempts)
	return row
}

// share is k of n, -1 where n is 0: JSON has no NaN.
func share(k, n int) float64 {
	if n == 0 {
		return -1
	}
	return float64(k) / float64(n)
}

// quantile is the smallest value with at least a share q of x at or below it; 0
// of nothing.
func quantile(x []float64, q float64) float64 {
	if len(x) == 0 {
		return 0
	}
	x = slices.Sorted(slices.Values(x))
	return x[max(0, int(math.Ceil(q*float64(len(x))))-1)]
}

// Recall counts the instances found.
func (r *Result) Recall() (found, instances int) {
	for i := range r.Instances {
		if r.Instances[i].Found() {
			found++
		}
	}
	return found, len(r.Instances)
}

// ClassRow is a line of the false-block table.
type ClassRow struct {
	Class   string  `json:"class"`
	Days    int     `json:"client_days"`
	Blocked int     `json:"blocked"`
	Rate    float64 `json:"rate"`
	Low     float64 `json:"low"` // 95 % Clopper-Pearson of Rate
	High    float64 `json:"high"`
}

// AllClasses is the Class of the line that sums the others up.
const AllClasses = "all"

// FalseBlockTable counts benign client-days and those blocked, by class in
// alphabetical order, all of them first.
func (r *Result) FalseBlockTable() []ClassRow {
	rows := []ClassRow{{}}
	days, blocked := 0, 0
	for _, name := range slices.Sorted(maps.Keys(r.Classes)) {
		c := r.Classes[name]
		days, blocked = days+c.Days, blocked+c.Blocked
		if name == "" {
			name = "unknown"
		}
		rows = append(rows, classRow(name, c.Days, c.Blocked))
	}
	rows[0] = classRow(AllClasses, days, blocked)
	return rows
}

func classRow(name string, days, blocked int) ClassRow {
	row := ClassRow{Class: name, Days: days, Blocked: blocked, Rate: share(blocked, days)}
	row.Low, row.High = guarantee.ClopperPearson(blocked, days, 0.95)
	return row
}
