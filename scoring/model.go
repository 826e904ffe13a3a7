package scoring

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/weir-dev/weir/features"
	"github.com/weir-dev/weir/scoring/joint"
)

// ModelFormat is the version of the model's JSON. Another one is refused.
const ModelFormat = 2

// ErrModel says that a model cannot be used: another format, a wrong checksum,
// or numbers that make no sense.
var ErrModel = errors.New("model")

// Pooled names the stratum that holds every client type.
const Pooled = "*"

// PooledPeople names the calibration layer of every client type but consumers:
// programs with an application's credentials, whose nightly batches would set
// the thresholds of everybody else.
const PooledPeople = "people"

// NewClients ends the name of a layer of clients on their first day, which have
// no habits yet that they could be compared with.
const NewClients = "/new"

// Model is what scoring knows: how clients of each type behave on each API, and
// how high the evidence of benign clients climbs in a day. It is immutable once
// loaded, and shared by all scorers of a process.
type Model struct {
	Format  int    `json:"format"`
	Name    string `json:"name"`
	Version string `json:"version"` // the first 12 hex digits of the checksum of the content
	// Strata holds the prior behaviour by client type; Pooled is always there.
	Strata map[string]*Behaviour `json:"strata"`
	// APIs holds what was learnt of single APIs, by API then client type.
	APIs map[string]map[string]*Behaviour `json:"apis,omitempty"`
	// Joint is how features vary together, by client type.
	Joint map[string]*joint.Model `json:"joint,omitempty"`
	// Calibration holds benign clients' daily maxima by client type.
	Calibration map[string]*Calibration `json:"calibration"`
	// Learnt is what extraction needs to know of the APIs.
	Learnt features.Learnt `json:"learnt"`
}

// Behaviour is how benign clients of one type behave on one API, per window in
// which they are active.
type Behaviour struct {
	Windows int `json:"windows"` // windows behind the numbers
	Clients int `json:"clients"` // clients behind the numbers

	Requests Counts  `json:"requests"` // calls in a window
	Objects  Counts  `json:"objects"`  // distinct object ids in a window, where any
	Volume   Moments `json:"volume"`   // ln(1 + decayed calls of 15 minutes)
	Bytes    Moments `json:"bytes"`    // ln(1 + decayed response bytes of 15 minutes)
	Entropy  Moments `json:"entropy"`  // bits an interval between mutations, clients with 8 or more

	Load    Moments `json:"load"`    // ln(1 + decayed seconds of response time of 15 minutes)
	Uploads Moments `json:"uploads"` // ln(1 + decayed request bytes of 15 minutes)
	Writes  Counts  `json:"writes"`  // calls in a window that change an object, where any

	// Bounds are upper bounds on a benign client's share of each kind, the 99.9th
	// percentile over clients.
	Bounds Shares `json:"bounds"`
	// DayShift is the variance of a client's daily means of ln(1 + response bytes)
	// of an active minute about its own mean.
	DayShift float64 `json:"day_shift"`
	// Novelty is on which share of its days a client is seen as a device, a network
	// of an ASN, a country, a network that it was not seen as before.
	Novelty [NumSeen]float64 `json:"novelty"`
	// TokenMoves is on which share of days a credential is used by another device
	// than before.
	TokenMoves float64 `json:"token_moves"`
	// EntropyFloor is the 3rd percentile of Entropy over clients, bits.
	EntropyFloor float64 `json:"entropy_floor"`
	// Hours scales the mean of Requests by hour of the day, UTC.
	Hours [24]float64 `json:"hours"`
}

// Counts describes counts of clients: their means spread over clients with
// variance Between, and each client's counts are negative binomial with Size.
type Counts struct {
	Mean    float64 `json:"mean"`
	Between float64 `json:"between"`
	Size    float64 `json:"size"`
}

// Moments describes a roughly normal quantity: over clients, and within one.
type Moments struct {
	Mean    float64 `json:"mean"`
	Between float64 `json:"between"` // variance of the clients' means
	Within  float64 `json:"within"`  // mean variance within a client
}

//go:generate go run ../training/buildprior -out prior.json.gz

//go:embed prior.json.gz
var priorFile []byte

// Prior is the model shipped with the program, learnt from simulated traffic.
func Prior() (*Model, error) {
	m, err := ReadModel(bytes.NewReader(priorFile))
	if err != nil {
		return nil, fmt.Errorf("loading the shipped prior: %w", err)
	}
	return m, nil
}

// behaviour is the most specific knowledge about a client type on an API; api
// tells whether it was learnt there.
func (m *Model) behaviour(apiName, stratum []byte) (b *Behaviour, api bool) {
	if byType, ok := m.APIs[string(apiName)]; ok {
		if b, ok := byType[string(stratum)]; ok {
			return b, true
		}
	}
	if b, ok := m.Strata[string(stratum)]; ok {
		return b, false
	}
	return m.Strata[Pooled], false
}

// jointOf is the mix of the client type, or of all.
func (m *Model) jointOf(stratum []byte) *joint.Model {
	if j, ok := m.Joint[string(stratum)]; ok {
		return j
	}
	return m.Joint[Pooled]
}

// Seal stamps the version from the content; Write does so by itself.
func (m *Model) Seal() error {
	m.Format, m.Version = ModelFormat, ""
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding model: %w", err)
	}
	sum := sha256.Sum256(body)
	m.Version = hex.EncodeToString(sum[:6])
	return nil
}

// Write stamps the model's version and writes it as gzipped JSON.
func (m *Model) Write(w io.Writer) error {
	if err := m.Seal(); err != nil {
		return err
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding model: %w", err)
	}
	// A zero header time keeps the file the same for the same model.
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return fmt.Errorf("compressing model: %w", err)
	}
	if _, err := z.Write(body); err != nil {
		return fmt.Errorf("writing model: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("writing model: %w", err)
	}
	return nil
}

// maxModelBytes bounds a model file after decompression.
const maxModelBytes = 64 << 20

// ReadModel reads what Write wrote and checks it. The error is ErrModel or that
// of the reader.
func ReadModel(r io.Reader) (*Model, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("%w: decompressing: %w", ErrModel, err)
	}
	body, err := io.ReadAll(io.LimitReader(z, maxModelBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w: decompressing: %w", ErrModel, err)
	}
	if len(body) > maxModelBytes {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrModel, maxModelBytes)
	}
	m := new(Model)
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("%w: decoding: %w", ErrModel, err)
	}
	if m.Format != ModelFormat {
		return nil, fmt.Errorf("%w: format %d, this program reads %d", ErrModel, m.Format, ModelFormat)
	}
	stamped := m.Version
	if err := m.Seal(); err != nil {
		return nil, err
	}
	if m.Version != stamped {
		return nil, fmt.Errorf("%w: checksum %s, the content has %s", ErrModel, stamped, m.Version)
	}
	return m, m.check()
}

func (m *Model) check() error {
	for name, j := range m.Joint {
		if j == nil {
			return fmt.Errorf("%w: joint model of stratum %q is empty", ErrModel, name)
		}
		if err := j.Check(); err != nil {
			return fmt.Errorf("%w: stratum %q: %w", ErrModel, name, err)
		}
		if j.Features() != JointFeatures {
			return fmt.Errorf("%w: joint model of stratum %q has %d features, want %d", ErrModel, name, j.Features(), JointFeatures)
		}
	}
	if m.Strata[Pooled] == nil || m.Calibration[Pooled] == nil {
		return fmt.Errorf("%w: no pooled stratum", ErrModel)
	}
	all := []map[string]*Behaviour{m.Strata}
	for _, byType := range m.APIs {
		all = append(all, byType)
	}
	for _, byType := range all {
		for name, b := range byType {
			if b == nil {
				return fmt.Errorf("%w: stratum %q is empty", ErrModel, name)
			}
			for _, p := range b.Bounds {
				if !(p > 0 && p < 1) {
					return fmt.Errorf("%w: stratum %q bounds a probability by %v", ErrModel, name, p)
				}
			}
			if !(b.Requests.Mean > 0 && b.Requests.Size > 0 && b.Objects.Mean > 0 && b.Objects.Size > 0 && b.Writes.Mean > 0 && b.Writes.Size > 0) {
				return fmt.Errorf("%w: stratum %q has no positive counts", ErrModel, name)
			}
			if min(b.Requests.Between, b.Objects.Between, b.Writes.Between) < 0 {
				return fmt.Errorf("%w: stratum %q has a negative variance", ErrModel, name)
			}
		}
	}
	for name, c := range m.Calibration {
		if c == nil || c.N < len(c.Top) || len(c.Top) == 0 || !slices.IsSortedFunc(c.Top, func(a, b float64) int { return -cmpFloat(a, b) }) {
			return fmt.Errorf("%w: calibration of stratum %q is empty or unsorted", ErrModel, name)
		}
		if c.Tail != nil {
			if err := c.Tail.Check(); err != nil {
				return fmt.Errorf("%w: calibration of stratum %q: %w", ErrModel, name, err)
			}
		}
		for i := range c.Tails {
			if !c.Tails[i].rises() {
				return fmt.Errorf("%w: calibration of stratum %q has a tail that does not rise", ErrModel, name)
			}
		}
	}
	return nil
}
