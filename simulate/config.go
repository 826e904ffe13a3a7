package simulate

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Errors of New that a caller can tell apart with errors.Is.
var (
	// ErrConfig says that a field of Config is out of range or names something
	// that does not exist.
	ErrConfig = errors.New("simulation config is not usable")
	// ErrUnknownAttack says that an AttackSpec names no attack or variant, or
	// one that no API of the world can suffer.
	ErrUnknownAttack = errors.New("no such attack")
)

// MaxClients bounds Config.Clients; user numbers above it belong to the clients
// of crowds and launches, to kiosks and to attackers.
const MaxClients = 1 << 21

// Surge multiplies how often people come, for a while: a flash crowd, which is
// benign.
type Surge struct {
	Start, Duration time.Duration // from Config.Start
	Factor          float64       // 1 to 1000; 1 changes nothing
}

// AttackSpec asks for one instance of an attack.
type AttackSpec struct {
	Name    string // one of Attacks()
	Variant string // one of Variants(Name); empty: the first
	API     string // empty: the first API that has the routes the attack needs
	// Start is when the attack's agents wake up, from Config.Start.
	Start time.Duration
	// Duration ends the attack early. Zero lets it run until it has made its
	// calls or the simulation ends.
	Duration time.Duration
	// Intensity is 1 for the attack as described in the package documentation;
	// zero means 1. Below 1 it is slower, shorter and mixed with ordinary calls;
	// above 1 it is faster and longer. The range is 0.01 to 100.
	Intensity float64
}

// Config says what to simulate. The zero value of every field but Clients,
// Duration and Bodies stands for the default.
type Config struct {
	// Seed decides everything that is random.
	Seed uint64
	// Start is the time of the first possible event. Default: Monday
	// 2026-03-02 00:00 UTC.
	Start time.Time
	// Duration is how much event time to simulate; it must be positive.
	Duration time.Duration
	// Clients is the number of benign people and machines, up to MaxClients.
	// More clients leave the first ones exactly as they were.
	Clients int
	// Activity multiplies how often people come. Default 1: a median person
	// comes about once a day. Short demonstrations need more.
	Activity float64
	// Mix is the share of each class. Default: DefaultMix().
	Mix Mix
	// World is what they use. Default: DefaultWorld().
	World World
	// APIs restricts the world to the APIs named. Default: all of them.
	APIs []string
	// Bodies puts a sample of the request body, at most 300 bytes of JSON, on
	// calls of routes that take one. DefaultConfig sets it. Nothing else about
	// an event depends on it, save that ReqBytes is not less than what is shown.
	Bodies bool
	// Tenant is put on every event. Default: none.
	Tenant string
	// Surges are benign flash crowds of people who are known. Default: none.
	Surges []Surge
	// Crowds are benign flash crowds of people who never came before; they are
	// added to Clients. Default: none.
	Crowds []Crowd
	// Outages are times in which an API answers hardly anybody. Default: none;
	// short bad spells occur all the same.
	Outages []Outage
	// Deploys change routes and sizes, in order of time. Default: none.
	Deploys []Deploy
	// Resets are waves of refused old passwords, at most 16. Default: none.
	Resets []ResetWave
	// Launches add APIs with clients of their own; see NewAPI and TinyLaunch.
	// They leave the rest of the population as it was. Default: none.
	Launches []Launch
	// ClockSkew, if above zero, has one benign client in fifty report through a
	// gateway whose clock is wrong by up to this much either way. Events then
	// come in the order in which they happened, and not of the times they bear.
	// Default: none.
	ClockSkew time.Duration
	// Attacks are added to the benign stream and never change it.
	Attacks []AttackSpec
}

// DefaultConfig is one day of a thousand benign clients, without attacks.
func DefaultConfig() Config {
	return Config{
		Seed: 1, Start: defaultStart(), Duration: 24 * time.Hour, Clients: 1000,
		Activity: 1, Mix: DefaultMix(), World: DefaultWorld(), Bodies: true,
	}
}

func defaultStart() time.Time { return time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) }

// resolve fills in defaults and checks ranges.
func (c Config) resolve() (Config, error) {
	if c.Start.IsZero() {
		c.Start = defaultStart()
	}
	if c.Activity == 0 {
		c.Activity = 1
	}
	if c.Mix == (Mix{}) {
		c.Mix = DefaultMix()
	}
	if len(c.World.APIs) == 0 {
		c.World = DefaultWorld()
	}
	var err error
	if c.World, err = c.World.pick(c.APIs); err != nil {
		return c, err
	}
	switch {
	case c.Duration <= 0:
		return c, fmt.Errorf("%w: duration %s is not positive", ErrConfig, c.Duration)
	case c.Start.Before(time.Unix(0, 0).Add(24 * time.Hour)):
		return c, fmt.Errorf("%w: start %s is before 1970-01-02", ErrConfig, c.Start)
	case c.Clients < 0 || c.Clients > MaxClients:
		return c, fmt.Errorf("%w: %d clients, want 0 to %d", ErrConfig, c.Clients, MaxClients)
	case !(c.Activity > 0 && c.Activity <= 1e6):
		return c, fmt.Errorf("%w: activity %g, want above 0", ErrConfig, c.Activity)
	}
	if err := c.Mix.check(); err != nil {
		return c, err
	}
	if c.ClockSkew < 0 || c.ClockSkew > time.Hour {
		return c, fmt.Errorf("%w: clock skew %s, want 0 to 1h", ErrConfig, c.ClockSkew)
	}
	names := c.World.names()
	for _, l := range c.Launches {
		if slices.Contains(names, l.API.Name) {
			return c, fmt.Errorf("%w: launch of %q, which is there already", ErrConfig, l.API.Name)
		}
		names = append(names, l.API.Name)
	}
	for _, s := range c.Surges {
		if !(s.Factor >= 1 && s.Factor <= 1000) || s.Duration <= 0 {
			return c, fmt.Errorf("%w: surge %+v, want a positive duration and a factor of 1 to 1000", ErrConfig, s)
		}
	}
	attacks := make([]AttackSpec, len(c.Attacks))
	for i, a := range c.Attacks {
		if a.Intensity == 0 {
			a.Intensity = 1
		}
		if !(a.Intensity >= 0.01 && a.Intensity <= 100) || a.Start < 0 || a.Duration < 0 {
			return c, fmt.Errorf("%w: attack %+v, want intensity 0.01 to 100 and times not negative", ErrConfig, a)
		}
		attacks[i] = a
	}
	c.Attacks = attacks
	return c, nil
}
