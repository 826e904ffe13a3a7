package simulate

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Class is a kind of benign client.
type Class string

// The classes of benign clients; the package documentation describes each. The
// last three are not part of a Mix: they come with Crowds and Launches.
const (
	ClassHuman     Class = "human"
	ClassMobile    Class = "mobile"
	ClassOffice    Class = "office"
	ClassCarrier   Class = "carrier"
	ClassForgetful Class = "forgetful"
	ClassTraveller Class = "traveller"
	ClassPower     Class = "power"
	ClassVPN       Class = "vpn"
	ClassDevices   Class = "devices"
	ClassManager   Class = "manager"
	ClassStale     Class = "stale"
	ClassDoubler   Class = "doubler"
	ClassExporter  Class = "exporter"
	ClassAnalyst   Class = "analyst"
	ClassDashboard Class = "dashboard"
	ClassQA        Class = "qa"
	ClassRotator   Class = "rotator"
	ClassKiosk     Class = "kiosk"
	ClassPartner   Class = "partner"
	ClassWalker    Class = "walker"
	ClassJob       Class = "job"
	ClassWebhook   Class = "webhook"
	ClassHeartbeat Class = "heartbeat"
	ClassCrawler   Class = "crawler"
	ClassIndexer   Class = "indexer"
	ClassProbe     Class = "probe"

	ClassNewcomer Class = "newcomer"
	ClassAdopter  Class = "adopter"
	ClassSparse   Class = "sparse"
)

// mixClasses is the number of classes that a Mix weighs.
const mixClasses = 26

// dealt are the classes of a Mix, in the order of Mix.fields.
var dealt = [mixClasses]Class{
	ClassHuman, ClassMobile, ClassOffice, ClassCarrier, ClassForgetful, ClassTraveller,
	ClassPower, ClassVPN, ClassDevices, ClassManager, ClassStale, ClassDoubler,
	ClassExporter, ClassAnalyst, ClassDashboard, ClassQA, ClassRotator, ClassKiosk,
	ClassPartner, ClassWalker, ClassJob, ClassWebhook, ClassHeartbeat,
	ClassCrawler, ClassIndexer, ClassProbe,
}

// Classes lists every class, in a fixed order: those of a Mix, then those that
// come with Crowds and Launches.
func Classes() []Class {
	return append(slices.Clone(dealt[:]), ClassNewcomer, ClassAdopter, ClassSparse)
}

// Person says whether members of the class are people, each with accounts of
// their own, instead of machines or shared devices.
func (c Class) Person() bool {
	switch c {
	case ClassHuman, ClassMobile, ClassOffice, ClassCarrier, ClassForgetful, ClassTraveller,
		ClassPower, ClassVPN, ClassDevices, ClassManager, ClassStale, ClassDoubler,
		ClassExporter, ClassAnalyst, ClassQA, ClassRotator, ClassNewcomer, ClassAdopter:
		return true
	}
	return false
}

// descriptions are one line for each class.
var descriptions = map[Class]string{
	ClassHuman:     "at a browser, about one visit a day",
	ClassMobile:    "an app that keeps its token and asks in the background",
	ClassOffice:    "working hours, 30 to 80 (on a campus 200 to 500) behind one address",
	ClassCarrier:   "apps, 60 to 500 behind one address of a carrier",
	ClassForgetful: "often mistypes or has forgotten the password",
	ClassTraveller: "other networks, other countries, new devices",
	ClassPower:     "10 to 50 times the visits of a median person",
	ClassVPN:       "another country and provider every day, by shared exits",
	ClassDevices:   "two to four devices in turn, and new ones",
	ClassManager:   "a password manager that repeats an old password 3 to 8 times",
	ClassStale:     "an app that retries a stale saved password with back-off",
	ClassDoubler:   "sends forms twice",
	ClassExporter:  "downloads a lot once a night, or at a month's end",
	ClassAnalyst:   "exports page after page in working hours",
	ClassDashboard: "a page left open that polls every 5 to 10 s",
	ClassQA:        "an hour of 404, 405 and odd parameters now and then",
	ClassRotator:   "renews its token at the full hour, with all of its kind",
	ClassKiosk:     "a shared device on which one account after another logs in",
	ClassPartner:   "an application that walks, synchronises and posts batches",
	ClassWalker:    "a partner that takes thousands of its ids in sequence",
	ClassJob:       "a script that posts by a loose clock",
	ClassWebhook:   "asks in bursts for what it was told has changed",
	ClassHeartbeat: "a known application that posts every 30 or 60 s exactly",
	ClassCrawler:   "a robot with dead links",
	ClassIndexer:   "a robot that is allowed, faster and larger",
	ClassProbe:     "asks for the health route every 15 to 60 s exactly",
	ClassNewcomer:  "of a crowd: was never seen before",
	ClassAdopter:   "of a launch: uses the new API",
	ClassSparse:    "of a launch: an application that hardly ever calls",
}

// Description is one line about a class, empty for what is none.
func (c Class) Description() string { return descriptions[c] }

// Mix is the weight of each class; weights need not sum to anything.
type Mix struct {
	Human, Mobile, Office, Carrier, Forgetful, Traveller float64
	Power, VPN, Devices, Manager, Stale, Doubler         float64
	Exporter, Analyst, Dashboard, QA, Rotator, Kiosk     float64
	Partner, Walker, Job, Webhook, Heartbeat             float64
	Crawler, Indexer, Probe                              float64
}

// DefaultMix is mostly people, with a few machines that make most of the calls.
func DefaultMix() Mix {
	return Mix{
		Human: 33.3, Mobile: 18, Office: 13, Carrier: 12, Forgetful: 3, Traveller: 2.5,
		Power: 2, VPN: 2, Devices: 1.5, Manager: 1, Stale: .8, Doubler: 1.2,
		Exporter: .7, Analyst: .7, Dashboard: .4, QA: .4, Rotator: 1.5, Kiosk: .3,
		Partner: 1.5, Walker: .3, Job: 2, Webhook: .4, Heartbeat: .5,
		Crawler: .4, Indexer: .2, Probe: .4,
	}
}

// ParseMix reads "class=weight,class=weight". Classes that are not named keep
// the weight of DefaultMix, unless the first word is "none": then they have no
// weight. Errors wrap ErrConfig.
func ParseMix(s string) (Mix, error) {
	m := DefaultMix()
	for i, word := range strings.Split(s, ",") {
		word = strings.TrimSpace(word)
		if i == 0 && word == "none" {
			m = Mix{}
			continue
		}
		name, text, ok := strings.Cut(word, "=")
		at := slices.Index(dealt[:], Class(name))
		if !ok || at < 0 {
			return m, fmt.Errorf("%w: mix has %q, want CLASS=WEIGHT with one of %v", ErrConfig, word, dealt)
		}
		w, err := strconv.ParseFloat(text, 64)
		if err != nil || !(w >= 0) || math.IsInf(w, 0) {
			return m, fmt.Errorf("%w: weight %q of class %s", ErrConfig, text, name)
		}
		*m.fields()[at] = w
	}
	return m, m.check()
}

// Shares are the shares of the clients that each class with a weight has.
func (m Mix) Shares() map[Class]float64 {
	out, sum := make(map[Class]float64, mixClasses), 0.0
	for _, w := range m.weights() {
		sum += w
	}
	for i, w := range m.weights() {
		if w > 0 {
			out[dealt[i]] = w / sum
		}
	}
	return out
}

func (m *Mix) fields() [mixClasses]*float64 {
	return [mixClasses]*float64{
		&m.Human, &m.Mobile, &m.Office, &m.Carrier, &m.Forgetful, &m.Traveller,
		&m.Power, &m.VPN, &m.Devices, &m.Manager, &m.Stale, &m.Doubler,
		&m.Exporter, &m.Analyst, &m.Dashboard, &m.QA, &m.Rotator, &m.Kiosk,
		&m.Partner, &m.Walker, &m.Job, &m.Webhook, &m.Heartbeat,
		&m.Crawler, &m.Indexer, &m.Probe,
	}
}

func (m Mix) weights() (w [mixClasses]float64) {
	for i, f := range m.fields() {
		w[i] = *f
	}
	return w
}

func (m Mix) check() error {
	sum := 0.0
	for i, w := range m.weights() {
		if !(w >= 0) {
			return fmt.Errorf("%w: weight %g of class %s", ErrConfig, w, dealt[i])
		}
		sum += w
	}
	if sum == 0 || sum > 1e12 {
		return fmt.Errorf("%w: class weights sum to %g", ErrConfig, sum)
	}
	return nil
}
