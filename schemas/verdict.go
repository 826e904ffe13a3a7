package schemas

import "time"

// Action is a rung of the ladder, in rising severity.
type Action string

// The ladder's rungs.
const (
	ActionObserve   Action = "observe"
	ActionThrottle  Action = "throttle"
	ActionChallenge Action = "challenge"
	ActionBlock     Action = "block"
)

// Severity orders actions: 0 for observe and unknown names, 3 for block.
func (a Action) Severity() int {
	switch a {
	case ActionThrottle:
		return 1
	case ActionChallenge:
		return 2
	case ActionBlock:
		return 3
	}
	return 0
}

// Attack names of the catalogue.
const (
	AttackCredentialStuffing  = "credential-stuffing"
	AttackSlowLogin           = "slow-login-attack"
	AttackAccountTakeover     = "account-takeover"
	AttackObjectEnumeration   = "object-enumeration"
	AttackFunctionProbing     = "function-probing"
	AttackDataExfiltration    = "data-exfiltration"
	AttackSlowExfiltration    = "slow-exfiltration"
	AttackScraping            = "scraping"
	AttackDataDestruction     = "data-destruction"
	AttackDataInjection       = "data-injection"
	AttackCodeInjection       = "code-injection"
	AttackExpensiveCalls      = "expensive-calls"
	AttackProbing             = "probing"
	AttackSlowProbing         = "slow-probing"
	AttackDistributedDoS      = "distributed-dos"
	AttackExtremeClient       = "extreme-client"
	AttackIntervalAbuse       = "interval-abuse"
	AttackSequenceAbuse       = "sequence-abuse"
	AttackExcessiveExposure   = "excessive-exposure"
	AttackRequestManipulation = "request-manipulation"
	AttackDecoyHit            = "decoy-hit"
	AttackMisconfiguration    = "misconfiguration" // a posture finding: blocks nobody
)

// Entity names who a verdict is about.
type Entity struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// Calibration states what a verdict's p-value rests on.
type Calibration struct {
	Kind    string  `json:"kind"` // conformal | extrapolated
	N       int     `json:"n"`    // benign client-days behind it
	Stratum string  `json:"stratum"`
	Alpha   float64 `json:"alpha"` // false-block rate per client-day of the action taken
}

// FeatureExplanation is one number behind a verdict.
type FeatureExplanation struct {
	Name         string  `json:"name"`
	Observed     float64 `json:"observed"`
	Expected     float64 `json:"expected"`
	Low          float64 `json:"low"` // central 99 % band under the baseline
	High         float64 `json:"high"`
	Contribution float64 `json:"contribution"` // share of the evidence, 0..1
	Baseline     string  `json:"baseline"`     // self | api | prior
	N            int     `json:"n"`            // observations behind the baseline
}

// Explanation says why, in numbers and in one sentence.
type Explanation struct {
	Features       []FeatureExplanation `json:"features"`
	Sequence       string               `json:"sequence,omitempty"` // the rarest step between calls
	Payload        string               `json:"payload,omitempty"`  // the bytes that look like an attack, and where they stood
	Cohort         string               `json:"cohort,omitempty"`   // what the callers share, how much of the excess is theirs, and who else would be hit
	Counterfactual string               `json:"counterfactual,omitempty"`
	Text           string               `json:"text"`
}

// Verdict is one decision about one entity. Its id is deterministic, so a
// repeated verdict replaces itself: of several records with one id the last is
// the one that holds. A verdict whose early evidence did not survive the close
// of its window is written again under its id with action observe and Withdrawn.
type Verdict struct {
	ID          string      `json:"id"`
	Time        time.Time   `json:"time"` // event time, UTC
	Tenant      string      `json:"tenant"`
	Entity      Entity      `json:"entity"`
	Linked      []Entity    `json:"linked,omitempty"`
	API         string      `json:"api"`
	Attack      string      `json:"attack"`
	Action      Action      `json:"action"`
	Enforced    bool        `json:"enforced"`       // false in shadow mode and where Held says so
	Held        string      `json:"held,omitempty"` // why it is not, or less, enforced: shadow, hold-out, brake, false-discovery control
	Withdrawn   bool        `json:"withdrawn,omitempty"`
	Provisional bool        `json:"provisional,omitempty"` // judged before its window closed
	Confidence  float64     `json:"confidence"`            // 0..1
	PValue      float64     `json:"p_value"`
	Calibration Calibration `json:"calibration"`
	Explanation Explanation `json:"explanation"`
	EventIDs    []string    `json:"event_ids,omitempty"` // up to 10
	Model       string      `json:"model"`
	WindowStart time.Time   `json:"window_start"`
	WindowEnd   time.Time   `json:"window_end"`
	ExpiresAt   time.Time   `json:"expires_at,omitzero"` // set for every action above observe
}

// BlockEntry is the value of the blocklist topic; its key is BlockKey.
type BlockEntry struct {
	VerdictID  string    `json:"verdict_id"`
	Action     Action    `json:"action"`
	Attack     string    `json:"attack"`
	Confidence float64   `json:"confidence"`
	Reason     string    `json:"reason"` // one sentence
	Created    time.Time `json:"created"`
	ExpiresAt  time.Time `json:"expires_at"` // always set
}

// AllowAction marks a blocklist entry that allows: it wins over any block of
// the same key and lifts it.
const AllowAction Action = "allow"

// Label names an attack in labelled traffic. Every entity without a label is
// benign.
type Label struct {
	EntityType string    `json:"entity_type"`
	Entity     string    `json:"entity"`
	Attack     string    `json:"attack"`
	Start      time.Time `json:"start"`
	End        time.Time `json:"end"`
}
