package eval

import (
	"context"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring/guarantee"
	"github.com/weir-dev/weir/simulate"
	"github.com/weir-dev/weir/training"
)

// StartRow is what is found in a world that the prior was not made for, after a
// number of windows of history for each API.
type StartRow struct {
	Windows   int     `json:"windows"`
	Instances int     `json:"instances"`
	Found     int     `json:"found"`
	Recall    float64 `json:"recall"`
	Low       float64 `json:"low"`
	High      float64 `json:"high"`
	Days      int     `json:"client_days"`
	Blocked   int     `json:"false_blocks"`
	Rate      float64 `json:"rate"`
	RateLow   float64 `json:"rate_low"`
	RateHigh  float64 `json:"rate_high"`

	Attacks []AttackRow `json:"attacks"`
}

// historyLengths are the windows of history for each API of the cold-start table.
func historyLengths() []int { return []int{0, 10, 100, 1000} }

// strange is the second world with other sizes, latencies and habits than the
// ones that any prior saw.
func strange() simulate.World {
	w := simulate.OtherWorld()
	for i := range w.APIs {
		routes := w.APIs[i].Routes
		for k := range routes {
			routes[k].Reply.Median *= 1.7
			routes[k].Latency.Median *= 2.5
		}
	}
	return w
}

// runColdStart measures detection in the second simulated world, with the prior
// alone and after little history.
func runColdStart(ctx context.Context, o *Options) (*SuiteResult, error) {
	out := new(SuiteResult)
	seeds, clients := o.pick(4, 1), o.pick(400, 60)
	lengths := historyLengths()
	if o.Quick {
		lengths = lengths[:1]
	}
	for _, n := range lengths {
		runs, err := each(ctx, o, fmt.Sprintf("cold start: %d windows", n), seeds, func(ctx context.Context, i int) (judged, error) {
			train, test := attackWorld(uint64(301+i), clients, strange())
			test.Duration = 36 * time.Hour // nobody is known yet
			model := o.Prior
			if n > 0 {
				var err error
				if model, err = learn(firstWindows(eventsOf(ctx, train, nil), n), o.Prior); err != nil {
					return judged{}, err
				}
			}
			specs, err := everyAttack(test, 3*time.Hour, 6*time.Minute, 1, 1)
			if err != nil {
				return judged{}, err
			}
			test.Attacks = specs
			w := world{cfg: test, setup: Setup{Model: model, Policy: policyAt(recallAlpha)}}
			report, _, err := w.judge(ctx)
			if err != nil {
				return judged{}, err
			}
			return judged{result: report.Result()}, nil
		})
		if err != nil {
			return nil, err
		}
		sum := total(runs)
		row := StartRow{Windows: n, Attacks: ordered(sum.Attacks())}
		row.Found, row.Instances = sum.Recall()
		row.Recall = share(row.Found, row.Instances)
		row.Low, row.High = guarantee.ClopperPearson(row.Found, row.Instances, 0.95)
		all := sum.FalseBlockTable()[0]
		row.Days, row.Blocked, row.Rate, row.RateLow, row.RateHigh = all.Days, all.Blocked, all.Rate, all.Low, all.High
		out.Starts = append(out.Starts, row)
	}
	return out, nil
}

// firstWindows cuts history short: of each API the calls of its first n windows,
// a window being a client's ten seconds.
func firstWindows(events training.Events, n int) training.Events {
	const hop = 10_000_000
	type window struct {
		client uint64
		hop    int64
	}
	return func(yield func(*schemas.Event)) error {
		seen := map[string]map[window]bool{}
		var key []byte
		return events(func(ev *schemas.Event) {
			key = features.AppendClientKey(key[:0], ev)
			api := seen[string(ev.API)]
			if api == nil {
				api = map[window]bool{}
				seen[string(ev.API)] = api
			}
			w := window{xxhash.Sum64(key), ev.Time / hop}
			if !api[w] {
				if len(api) == n {
					return
				}
				api[w] = true
			}
			yield(ev)
		})
	}
}
