package simulate

import (
	"fmt"
	"net/netip"
)

// Class is a kind of benign client.
type Class string

// The classes of benign clients; the package documentation describes each.
const (
	ClassHuman     Class = "human"
	ClassMobile    Class = "mobile"
	ClassOffice    Class = "office"
	ClassCarrier   Class = "carrier"
	ClassForgetful Class = "forgetful"
	ClassTraveller Class = "traveller"
	ClassPartner   Class = "partner"
	ClassJob       Class = "job"
	ClassCrawler   Class = "crawler"
	ClassProbe     Class = "probe"
)

// Classes lists every class, in a fixed order.
func Classes() []Class {
	return []Class{
		ClassHuman, ClassMobile, ClassOffice, ClassCarrier, ClassForgetful,
		ClassTraveller, ClassPartner, ClassJob, ClassCrawler, ClassProbe,
	}
}

// Mix is the weight of each class; weights need not sum to anything.
type Mix struct {
	Human, Mobile, Office, Carrier, Forgetful, Traveller, Partner, Job, Crawler, Probe float64
}

// DefaultMix is mostly people, with a few machines that make most of the calls.
func DefaultMix() Mix {
	return Mix{
		Human: 40, Mobile: 20, Office: 14, Carrier: 13, Forgetful: 4,
		Traveller: 3, Partner: 2, Job: 3, Crawler: 0.5, Probe: 0.5,
	}
}

func (m Mix) weights() [10]float64 {
	return [10]float64{
		m.Human, m.Mobile, m.Office, m.Carrier, m.Forgetful,
		m.Traveller, m.Partner, m.Job, m.Crawler, m.Probe,
	}
}

func (m Mix) check() error {
	sum := 0.0
	for i, w := range m.weights() {
		if !(w >= 0) {
			return fmt.Errorf("%w: weight %g of class %s", ErrConfig, w, Classes()[i])
		}
		sum += w
	}
	if sum == 0 || sum > 1e12 {
		return fmt.Errorf("%w: class weights sum to %g", ErrConfig, sum)
	}
	return nil
}

// population hands out classes and shared places in order of the client index,
// so that the first n clients do not depend on how many follow.
type population struct {
	g       *Generator
	weights [10]float64
	total   float64
	credit  [10]float64
	dealt   int

	offices int
	seats   int
	office  office

	carriers, partners, jobs, crawlers, probes uint64
}

// office is one public address that many people share, and the browsers that
// its administrator installed.
type office struct {
	place    place
	browsers [3]*browser
}

func newPopulation(g *Generator, m Mix) *population {
	p := &population{g: g, weights: m.weights()}
	for _, w := range p.weights {
		p.total += w
	}
	return p
}

// class deals classes by smooth weighted round robin. Each class starts with
// half its turn in credit, so that rare ones appear in small populations.
func (p *population) class() Class {
	if p.dealt == 0 {
		for i, w := range p.weights {
			if w > 0 {
				p.credit[i] = p.total / 2
			}
		}
	}
	p.dealt++
	best := -1
	for i, w := range p.weights {
		p.credit[i] += w
		if w > 0 && (best < 0 || p.credit[i] > p.credit[best]) {
			best = i
		}
	}
	p.credit[best] -= p.total
	return Classes()[best]
}

func (p *population) seat() *office {
	if p.seats == 0 {
		h := derive(p.g.cfg.Seed, domainOffice, uint64(p.offices))
		p.seats = 30 + int(h%51)
		c := &countries[h>>8%uint64(len(countries))]
		// 248.x.y.0/24 per office.
		p.office = office{place: place{
			addr: v4(248<<24 | uint32(p.offices&0xffff)<<8 | 10), country: c, asn: c.asn + 4,
		}}
		for i := range p.office.browsers {
			p.office.browsers[i] = &p.g.desktops[h>>(16+8*i)%uint64(len(p.g.desktops))]
		}
		p.offices++
	}
	p.seats--
	return &p.office
}

// behindCarrier is how many subscribers share one address of a carrier.
const behindCarrier = 120

// carrierPlace is an address of a carrier's translator. Four carriers have a
// quarter of 100.64.0.0/10 each; addresses fill one after another.
func (p *population) carrierPlace() place {
	n := p.carriers / behindCarrier
	p.carriers++
	c := &countries[n%4]
	return place{
		addr:    v4(100<<24 | 64<<16 | uint32(n%4)<<20 | uint32(n/4+1)&0xfffff),
		country: c, asn: c.asn + 8,
	}
}

// spawn builds the next benign client.
func (p *population) spawn(index int) *agent {
	g := p.g
	a := &agent{index: uint32(index), class: p.class(), id: &identity{user: uint64(index)}}
	seedPCG(&a.pcg, g.cfg.Seed, domainBenign, uint64(index))
	g.dice.pcg = &a.pcg
	switch a.class {
	case ClassPartner:
		a.act = newPartner(g, a, p.partners)
		p.partners++
	case ClassJob:
		a.act = newJob(g, a, p.jobs)
		p.jobs++
	case ClassCrawler:
		a.act = newCrawler(g, a, p.crawlers)
		p.crawlers++
	case ClassProbe:
		a.act = newProbe(g, a, p.probes)
		p.probes++
	default:
		a.act = newPerson(g, a, p)
	}
	return a
}

func v4(x uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)})
}
