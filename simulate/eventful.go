package simulate

import (
	"math/rand/v2"
	"time"
)

// Eventful is the Config with what befalls a company in such a time added to
// what it has, drawn from the seed: on a day, each API has an outage of 3 to 10
// min with a chance of 1/3 and a deploy with a chance of 1/5; a flash crowd
// with a tenth as many newcomers as there are clients comes with a chance of
// 1/4, and with it the people who are known (as a Surge of 3), for 40 to 120
// min; a wave of password resets reaches 30 % of people within 6 h with a
// chance of 1/8. The first day has at least one of the outages. TinyLaunch is
// added too, if the world has no API of its name, and so is NewAPI, from the
// middle of a simulation of two days or more, with a client for every twenty.
func (c Config) Eventful() Config {
	var pcg rand.PCG
	seedPCG(&pcg, c.Seed, domainEvents, 0)
	r := rand.New(&pcg)
	world := c.World
	if len(world.APIs) == 0 {
		world = DefaultWorld()
	}
	if picked, err := world.pick(c.APIs); err == nil {
		world = picked
	}
	c.Outages = append([]Outage(nil), c.Outages...)
	c.Deploys = append([]Deploy(nil), c.Deploys...)
	c.Crowds = append([]Crowd(nil), c.Crowds...)
	c.Surges = append([]Surge(nil), c.Surges...)
	c.Resets = append([]ResetWave(nil), c.Resets...)
	c.Launches = append([]Launch(nil), c.Launches...)

	// Instants are drawn whatever comes of them, so that a longer simulation
	// has the same first days.
	days := int((c.Duration + 24*time.Hour - 1) / (24 * time.Hour))
	var deploys []Deploy
	for d := range days {
		begin := time.Duration(d) * 24 * time.Hour
		length := min(24*time.Hour, c.Duration-begin)
		at := func() time.Duration { return begin + time.Duration(r.Float64()*float64(length)).Truncate(time.Second) }
		hit := false
		for i, a := range world.APIs {
			o := Outage{API: a.Name, Start: at(), Duration: time.Duration(180+r.IntN(421)) * time.Second}
			if r.Float64() < 1./3 || d == 0 && !hit && i == len(world.APIs)-1 {
				c.Outages, hit = append(c.Outages, o), true
			}
		}
		for _, a := range world.APIs {
			dep := Deploy{API: a.Name, At: at(), Adoption: time.Duration(3+r.IntN(6)) * time.Hour}
			if r.Float64() < .2 {
				deploys = append(deploys, dep)
			}
		}
		start, length2 := at(), time.Duration(40+r.IntN(81))*time.Minute
		if r.Float64() < .25 {
			c.Crowds = append(c.Crowds, Crowd{Start: start, Duration: length2, Newcomers: c.Clients / 10})
			c.Surges = append(c.Surges, Surge{Start: start, Duration: length2, Factor: 3})
		}
		start = at()
		if r.Float64() < .125 && len(c.Resets) < 16 {
			c.Resets = append(c.Resets, ResetWave{Start: start, Duration: 6 * time.Hour, Share: .3})
		}
	}
	for _, d := range deploys {
		i := len(c.Deploys)
		c.Deploys = append(c.Deploys, d)
		for ; i > 0 && c.Deploys[i-1].At > c.Deploys[i].At; i-- {
			c.Deploys[i-1], c.Deploys[i] = c.Deploys[i], c.Deploys[i-1]
		}
	}
	has := func(name string) bool {
		for _, l := range c.Launches {
			if l.API.Name == name {
				return true
			}
		}
		for _, a := range world.APIs {
			if a.Name == name {
				return true
			}
		}
		return false
	}
	if tiny := TinyLaunch(); !has(tiny.API.Name) {
		c.Launches = append(c.Launches, tiny)
	}
	if fresh := NewAPI(); days >= 2 && !has(fresh.Name) {
		c.Launches = append(c.Launches, Launch{API: fresh, At: (c.Duration / 2).Truncate(time.Hour), Clients: c.Clients / 20})
	}
	return c
}
