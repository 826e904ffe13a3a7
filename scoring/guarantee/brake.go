package guarantee

import (
	"encoding/binary"
	"fmt"
)

// brakeMinutes is how many minutes of counts a Brake keeps.
const brakeMinutes = 64

// BrakeConfig says when a Brake engages.
type BrakeConfig struct {
	// PerMinute is how many would-be blocks a minute of event time may hold; 0
	// means any number.
	PerMinute int
	// Share is which share of an API's active clients may be blocked anew within
	// Window minutes, at most 60, where at least MinActive are active; 0 means
	// any share.
	Share     float64
	Window    int
	MinActive int
	// Quiet is how many minutes in a row must keep to both before it releases.
	Quiet int
}

// Brake stops all blocking where there is too much of it at once: more likely a
// broken calibration, a deploy or a bad model than that many attackers. While it
// is engaged would-be blocks go on being counted, and it releases when they have
// been few enough for a while.
//
// It counts by minutes of event time, whatever the order within them: once a
// minute is over, the state is a function of the counts.
type Brake struct {
	cfg    BrakeConfig
	counts [brakeMinutes]uint32
	// newest is the last minute that was counted or advanced to, now the one
	// that Advance was last called with, excess the last that was too much.
	newest, now, excess int64
	engaged, started    bool
}

// NewBrake makes a brake that is released.
func NewBrake(cfg BrakeConfig) (*Brake, error) {
	if cfg.PerMinute < 0 || cfg.Share < 0 || cfg.Share > 1 || cfg.MinActive < 0 || cfg.Quiet < 1 ||
		cfg.Share > 0 && (cfg.Window < 1 || cfg.Window > 60) {
		return nil, fmt.Errorf("%w: brake %+v", ErrConfig, cfg)
	}
	return &Brake{cfg: cfg}, nil
}

// Blocked counts n would-be blocks in a minute of event time (Unix seconds over
// 60), those included that the brake then stopped, and tells whether the brake
// is engaged. Minutes more than an hour behind the newest are ignored.
func (b *Brake) Blocked(minute int64, n int) bool {
	if n <= 0 || !b.reach(minute) {
		return b.engaged
	}
	slot := &b.counts[uint64(minute)%brakeMinutes]
	*slot = uint32(min(uint64(*slot)+uint64(n), 1<<31))
	// A minute that would be forgiven by now does not engage the brake anew.
	if b.cfg.PerMinute > 0 && uint64(*slot) > uint64(b.cfg.PerMinute) && b.now-1-minute < int64(b.cfg.Quiet) {
		b.engage(minute)
	}
	return b.engaged
}

// Advance says that event time has reached a minute and that this many clients
// of the API were active in the last Window minutes. It engages the brake by
// their share, or releases it.
func (b *Brake) Advance(minute int64, active int) {
	if b.started && minute <= b.now || !b.reach(minute) {
		return
	}
	b.now = minute
	if b.cfg.Share > 0 && active >= max(b.cfg.MinActive, 1) {
		var blocked uint64
		for m := minute - int64(b.cfg.Window); m < minute; m++ {
			if m > b.newest-brakeMinutes {
				blocked += uint64(b.counts[uint64(m)%brakeMinutes])
			}
		}
		if float64(blocked) > b.cfg.Share*float64(active) {
			b.engage(minute - 1)
		}
	}
	if b.engaged && minute-1-b.excess >= int64(b.cfg.Quiet) {
		b.engaged = false
	}
}

// Engaged tells whether blocks are to be withheld.
func (b *Brake) Engaged() bool { return b.engaged }

func (b *Brake) engage(minute int64) {
	if !b.engaged {
		b.engaged, b.excess = true, minute
	}
	b.excess = max(b.excess, minute)
}

// reach makes room for a minute; it is false where that minute is forgotten.
func (b *Brake) reach(minute int64) bool {
	if !b.started {
		b.started = true
		b.newest, b.now = minute, minute-1
		return true
	}
	if minute <= b.newest-brakeMinutes {
		return false
	}
	if minute-b.newest >= brakeMinutes {
		clear(b.counts[:])
		b.newest = minute
	}
	for b.newest < minute {
		b.newest++
		b.counts[uint64(b.newest)%brakeMinutes] = 0
	}
	return true
}

const (
	brakeVersion = 1
	brakeSize    = 2 + 3*8 + brakeMinutes*4
)

// AppendSnapshot appends the brake's state to dst, always as many bytes.
func (b *Brake) AppendSnapshot(dst []byte) []byte {
	var flags byte
	if b.engaged {
		flags |= 1
	}
	if b.started {
		flags |= 2
	}
	dst = append(dst, brakeVersion, flags)
	for _, v := range []int64{b.newest, b.now, b.excess} {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(v))
	}
	for _, n := range b.counts {
		dst = binary.LittleEndian.AppendUint32(dst, n)
	}
	return dst
}

// RestoreSnapshot loads the state that the head of data holds and returns the
// rest. Limits are the configuration's and not part of it.
func (b *Brake) RestoreSnapshot(data []byte) (rest []byte, err error) {
	if len(data) < brakeSize || data[0] != brakeVersion || data[1] > 3 {
		return nil, fmt.Errorf("%w: brake", ErrSnapshot)
	}
	b.engaged, b.started = data[1]&1 != 0, data[1]&2 != 0
	for i, v := range []*int64{&b.newest, &b.now, &b.excess} {
		*v = int64(binary.LittleEndian.Uint64(data[2+8*i:]))
	}
	for i := range b.counts {
		b.counts[i] = binary.LittleEndian.Uint32(data[26+4*i:])
	}
	return data[brakeSize:], nil
}
