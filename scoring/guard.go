package scoring

import (
	"fmt"

	"github.com/weir-dev/weir/schemas"
	"github.com/weir-dev/weir/scoring/guarantee"
)

// Reasons why a decision is not enforced, as Verdict.Held states them.
const (
	HeldShadow   = "shadow"
	HeldOut      = "hold-out"
	HeldBrake    = "brake"
	HeldFDR      = "false-discovery control"
	guardMinutes = 60_000_000 // µs in a minute
)

// guard stands between decisions to block and their enforcement: how many of the
// blocks may be false, and a brake for when there are too many at once. It belongs
// to one partition, whose share of the limits it keeps, and changes no evidence:
// what was decided is a function of the client alone, what is held back is not.
type guard struct {
	brake  *guarantee.Brake
	fdr    *guarantee.FDR
	minute int64
	// active counts the client-days begun today, before that yesterday's.
	day               int64
	active, yesterday int
}

func newGuard(p *Policy) (*guard, error) {
	g := &guard{}
	var err error
	if p.MaxBlocksPerMinute > 0 || p.MaxBlockedShare > 0 {
		g.brake, err = guarantee.NewBrake(guarantee.BrakeConfig{
			PerMinute: p.MaxBlocksPerMinute, Share: p.MaxBlockedShare, Window: 10, MinActive: 200, Quiet: 5,
		})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	if p.FDR > 0 {
		if g.fdr, err = guarantee.NewFDR(guarantee.FDRConfig{Rate: p.FDR}); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	return g, nil
}

// window takes note of a closed window; begins tells that it is the first of its
// client's day.
func (g *guard) window(f *schemas.ClientFeatures, begins bool) {
	if m := f.WindowStart / guardMinutes; m > g.minute {
		g.minute = m
		if d := m / (24 * 60); d != g.day {
			g.day, g.yesterday, g.active = d, g.active, 0
		}
		if g.brake != nil {
			g.brake.Advance(m, max(g.active, g.yesterday))
		}
		if g.fdr != nil {
			g.fdr.Advance()
		}
	}
	if begins {
		g.active++
		if g.fdr != nil {
			g.fdr.Test(1) // one more client-day that may be found
		}
	}
}

// hold is why a block may not be enforced; "" if it may. Only closed windows are
// counted: what is provisional comes again.
func (g *guard) hold(f *schemas.ClientFeatures, p float64) string {
	minute := f.WindowStart / guardMinutes
	if g.brake != nil {
		engaged := g.brake.Engaged()
		if f.Final {
			engaged = g.brake.Blocked(minute, 1)
		}
		if engaged {
			return HeldBrake
		}
	}
	if g.fdr != nil {
		found := p <= g.fdr.Level()
		if f.Final {
			found = g.fdr.Test(p)
		}
		if !found {
			return HeldFDR
		}
	}
	return ""
}

func (g *guard) append(b []byte) []byte {
	for _, v := range []int64{g.minute, g.day, int64(g.active), int64(g.yesterday)} {
		b = appendInt(b, v)
	}
	if g.brake != nil {
		b = g.brake.AppendSnapshot(b)
	}
	if g.fdr != nil {
		b = g.fdr.AppendSnapshot(b)
	}
	return b
}

// restore reads what append wrote. A guard whose policy has changed since begins
// anew: what follows it in the snapshot is nothing.
func (g *guard) restore(b []byte) error {
	if len(b) < 4*8 {
		return fmt.Errorf("%w: the guard is torn", ErrSnapshot)
	}
	var v [4]int64
	for i := range v {
		v[i], b = takeInt(b)
	}
	g.minute, g.day, g.active, g.yesterday = v[0], v[1], int(v[2]), int(v[3])
	var err error
	if g.brake != nil && len(b) > 0 {
		if b, err = g.brake.RestoreSnapshot(b); err != nil {
			return fmt.Errorf("%w: %w", ErrSnapshot, err)
		}
	}
	if g.fdr != nil && len(b) > 0 {
		if _, err = g.fdr.RestoreSnapshot(b); err != nil {
			return fmt.Errorf("%w: %w", ErrSnapshot, err)
		}
	}
	return nil
}
