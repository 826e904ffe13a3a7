package simulate

import "net/netip"

// Domains of the population's own streams; those of dice.go are below.
const (
	domainCarrier uint64 = iota + 64
	domainExit
	domainDevice
	domainReset
	domainDeploy
	domainCrowd
	domainLaunch
	domainKiosk
	domainEvents
	domainSkew
)

// population hands out classes and shared places in order of the client index,
// so that the first n clients do not depend on how many follow.
type population struct {
	g       *Generator
	weights [mixClasses]float64
	total   float64
	credit  [mixClasses]float64
	dealt   int

	offices int
	seats   int
	office  office

	translators, subscribers uint64
	translator               place

	// number counts the members of the classes that have addresses or
	// consumers by number.
	partners, jobs, crawlers, indexers, probes, hooks, beats, kiosks uint64
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
	return dealt[best]
}

func (p *population) seat() *office {
	if p.seats == 0 {
		h := derive(p.g.cfg.Seed, domainOffice, uint64(p.offices))
		p.seats = 30 + int(h%51)
		if h>>40%6 == 0 {
			// A campus or a hospital.
			p.seats = 200 + int(h>>44%301)
		}
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

// behindCarrier are the numbers of subscribers that share one address of a
// carrier, drawn for each address.
var behindCarrier = [...]uint64{60, 90, 120, 120, 150, 200, 300, 400, 500}

// carrierPlace is an address of a carrier's translator. Four carriers have a
// quarter of 100.64.0.0/10 each; addresses fill one after another.
func (p *population) carrierPlace() place {
	if p.subscribers == 0 {
		n := p.translators
		h := derive(p.g.cfg.Seed, domainCarrier, n)
		p.subscribers = behindCarrier[h%uint64(len(behindCarrier))]
		c := &countries[n%4]
		p.translator = place{
			addr:    v4(100<<24 | 64<<16 | uint32(n%4)<<20 | uint32(n/4+1)&0xfffff),
			country: c, asn: c.asn + 8,
		}
		p.translators++
	}
	p.subscribers--
	return p.translator
}

// take returns a counter's value and advances it.
func take(n *uint64) uint64 { *n++; return *n - 1 }

// spawn builds the next benign client.
func (p *population) spawn(index int) *agent {
	g := p.g
	a := &agent{index: uint32(index), class: p.class(), id: &identity{user: uint64(index)}, attack: -1}
	seedPCG(&a.pcg, g.cfg.Seed, domainBenign, uint64(index))
	g.dice.pcg = &a.pcg
	switch a.class {
	case ClassPartner, ClassWalker:
		a.act = newPartner(g, a, take(&p.partners))
	case ClassJob:
		a.act = newJob(g, a, take(&p.jobs))
	case ClassCrawler:
		a.act = newCrawler(g, a, take(&p.crawlers))
	case ClassIndexer:
		a.act = newIndexer(g, a, take(&p.indexers))
	case ClassProbe:
		a.act = newProbe(g, a, take(&p.probes))
	case ClassHeartbeat:
		a.act = newHeartbeat(g, a, take(&p.beats))
	case ClassWebhook:
		a.act = newWebhook(g, a, take(&p.hooks))
	case ClassKiosk:
		a.act = newKiosk(g, a, take(&p.kiosks))
	case ClassDashboard:
		a.act = newDashboard(g, a)
	case ClassRotator:
		a.act = newRotator(g, a)
	case ClassExporter, ClassAnalyst:
		a.act = newReader(g, a)
	case ClassQA:
		a.act = newTester(g, a)
	default:
		a.act = newPerson(g, a, p)
	}
	return a
}

// openAPI draws one of the APIs that everybody may use.
func (g *Generator) openAPI() *api { return g.open[g.dice.n(len(g.open))] }

func v4(x uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)})
}
