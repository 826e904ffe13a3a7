package pipeline

import (
	"math"
	"slices"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/features/parameters"
	"github.com/weir-dev/weir/scoring"
)

// Description is a model in numbers.
type Description struct {
	Ref string `json:"ref"`
	// Collapsed is how many positions of paths are values, of all APIs.
	Collapsed int `json:"collapsed_routes"`
	// Parameters is how many parameters of routes are known, of all APIs.
	Parameters int                `json:"parameters"`
	APIs       []APIDescription   `json:"apis"`
	Strata     []LayerDescription `json:"strata"`
}

// APIDescription is what a model knows of one API.
type APIDescription struct {
	API string `json:"api"`
	features.Status
	Norms int      `json:"norms"` // routes whose durations and sizes are known
	Steps int      `json:"steps"` // counted steps between routes
	Types []string `json:"types"` // client types with numbers of their own
}

// LayerDescription is one calibration layer.
type LayerDescription struct {
	Stratum    string      `json:"stratum"`
	ClientDays int         `json:"client_days"`
	Demoted    bool        `json:"demoted"`
	Thresholds []Threshold `json:"thresholds"`
}

// Threshold is the evidence above which a rate of benign client-days is found.
type Threshold struct {
	Alpha float64 `json:"alpha"`
	// Evidence is in nats; null where no evidence suffices.
	Evidence *float64 `json:"evidence"`
	Kind     string   `json:"kind"` // conformal or extrapolated
}

// Describe sums a model up, with the thresholds of alphas.
func Describe(m *scoring.Model, alphas ...float64) Description {
	d := Description{
		Ref: ModelRef(m), Collapsed: len(m.Learnt.Routes.Collapsed), Parameters: parameterCount(m),
		APIs: []APIDescription{}, Strata: []LayerDescription{},
	}
	var names []string
	for name := range m.Learnt.APIs {
		names = append(names, name)
	}
	for name := range m.APIs {
		names = append(names, name)
	}
	for name := range m.Learnt.Status {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		a := APIDescription{API: name, Status: m.Learnt.Status[name], Types: []string{}}
		if a.Status.Status == "" {
			a.Status.Status = features.StatusLearning
		}
		if l := m.Learnt.APIs[name]; l != nil {
			a.Norms = len(l.Norms)
			if l.People != nil {
				a.Steps += len(l.People.Counts)
			}
			if l.Programs != nil {
				a.Steps += len(l.Programs.Counts)
			}
		}
		for stratum := range m.APIs[name] {
			a.Types = append(a.Types, stratum)
		}
		slices.Sort(a.Types)
		d.APIs = append(d.APIs, a)
	}
	for name, c := range m.Calibration {
		l := LayerDescription{Stratum: name, ClientDays: c.N, Demoted: c.Demoted}
		for _, alpha := range alphas {
			t := Threshold{Alpha: alpha}
			var x float64
			if x, t.Kind = c.Threshold(alpha); !c.Demoted && !math.IsInf(x, 0) {
				t.Evidence = &x
			}
			l.Thresholds = append(l.Thresholds, t)
		}
		d.Strata = append(d.Strata, l)
	}
	slices.SortFunc(d.Strata, func(a, b LayerDescription) int {
		if a.ClientDays != b.ClientDays {
			return b.ClientDays - a.ClientDays
		}
		if a.Stratum < b.Stratum {
			return -1
		}
		return 1
	})
	return d
}

func parameterCount(m *scoring.Model) int {
	if len(m.Learnt.Parameters) == 0 {
		return 0
	}
	l, err := parameters.DecodeLearner(parameters.Config{}, m.Learnt.Parameters)
	if err != nil {
		return 0
	}
	return l.Parameters()
}
