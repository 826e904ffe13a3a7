package scoring

import (
	"github.com/weir-dev/weir/schemas"
)

// Attack is one entry of the catalogue: what a verdict's attack name means, who
// else names it how, and what to do about it.
type Attack struct {
	Name  string
	Title string
	// OWASP are ids of the API Security Top 10 of 2023, MITRE of ATT&CK techniques,
	// PingIntelligence the attack ids of its ABS and ASE.
	OWASP, MITRE, PingIntelligence []string
	Seen                           string // how it shows in traffic
	Evidence                       string // what finds it
	Remedy                         string // one sentence
}

// Catalogue lists every attack that a verdict can name.
func Catalogue() []Attack {
	return []Attack{
		{
			Name: schemas.AttackCredentialStuffing, Title: "Credential stuffing",
			OWASP: []string{"API2:2023"}, MITRE: []string{"T1110.004", "T1110.003"}, PingIntelligence: []string{"2", "3"},
			Seen:     "Many user names are tried, nearly all in vain, from one source or from many.",
			Evidence: "outcome: an e-process over login failures; crowd: odds of failure by network and fingerprint",
			Remedy:   "Force a new password on the accounts that let the source in, and ask for a second factor where it came from.",
		},
		{
			Name: schemas.AttackSlowLogin, Title: "Slow login attack",
			OWASP: []string{"API2:2023"}, MITRE: []string{"T1110.001"}, PingIntelligence: []string{"2"},
			Seen:     "Logins fail minutes or hours apart, below every rate limit.",
			Evidence: "outcome: the e-process counts attempts, not seconds",
			Remedy:   "Check the accounts that were tried, and limit failures by account and by source over days.",
		},
		{
			Name: schemas.AttackAccountTakeover, Title: "Account takeover",
			OWASP: []string{"API2:2023"}, MITRE: []string{"T1078", "T1550.001", "T1550.004"}, PingIntelligence: []string{"4", "16", "17", "31", "38"},
			Seen:     "A known client's token, cookie or key is used by a device and from a place that it was never seen with.",
			Evidence: "identity: a likelihood ratio over device, network, country and hour; two devices taking turns",
			Remedy:   "Revoke the credential, end the account's sessions and verify its owner.",
		},
		{
			Name: schemas.AttackObjectEnumeration, Title: "Object enumeration",
			OWASP: []string{"API1:2023"}, MITRE: []string{"T1190", "T1213"}, PingIntelligence: []string{"8", "32"},
			Seen:     "A client walks through object ids, or names objects that are not its own.",
			Evidence: "object: e-processes over ids in sequence and over refused objects, distinct objects against its habit",
			Remedy:   "Check that every route of the API verifies who owns the object, and that ids cannot be guessed.",
		},
		{
			Name: schemas.AttackFunctionProbing, Title: "Function probing",
			OWASP: []string{"API5:2023"}, MITRE: []string{"T1190"}, PingIntelligence: []string{"8", "34"},
			Seen:     "A client tries functions that it has no rights to.",
			Evidence: "outcome: an e-process over denied calls",
			Remedy:   "Check the function-level authorisation of the routes that did answer it.",
		},
		{
			Name: schemas.AttackDataExfiltration, Title: "Data exfiltration",
			OWASP: []string{"API6:2023", "API1:2023"}, MITRE: []string{"T1213", "T1119"}, PingIntelligence: []string{"1", "39"},
			Seen:     "A client takes far more data than it or its kind does.",
			Evidence: "rate: response bytes of a quarter of an hour; object: distinct objects",
			Remedy:   "Find out what was taken from the events named, and whose it is.",
		},
		{
			Name: schemas.AttackSlowExfiltration, Title: "Slow exfiltration",
			OWASP: []string{"API6:2023"}, MITRE: []string{"T1213", "T1030"}, PingIntelligence: []string{"21", "39"},
			Seen:     "A client takes a little more than its own habit, hour after hour.",
			Evidence: "drift: a CUSUM of each window's bytes against the client's own baseline",
			Remedy:   "Ask the client's owner what changed; if nothing did, treat the credential as stolen.",
		},
		{
			Name: schemas.AttackScraping, Title: "Scraping",
			OWASP: []string{"API6:2023", "API4:2023"}, MITRE: []string{"T1213", "T1119"}, PingIntelligence: []string{"25", "26", "27", "28"},
			Seen:     "A client reads object after object, all valid.",
			Evidence: "object: distinct objects against habit and kind; rate: sustained calls; joint: the mix",
			Remedy:   "Offer a feed or a quota for what is wanted, and page by opaque cursors.",
		},
		{
			Name: schemas.AttackDataDestruction, Title: "Data destruction",
			OWASP: []string{"API1:2023", "API5:2023"}, MITRE: []string{"T1485", "T1565.001"}, PingIntelligence: []string{"14", "15"},
			Seen:     "A client deletes or overwrites object after object.",
			Evidence: "writes: a CUSUM of state-changing calls on objects",
			Remedy:   "Restore what the events name, and put a limit and a grace period on deletion.",
		},
		{
			Name: schemas.AttackDataInjection, Title: "Data injection",
			OWASP: []string{"API4:2023"}, MITRE: []string{"T1565.001", "T1499.003"}, PingIntelligence: []string{"5", "6", "15", "40"},
			Seen:     "A client creates far more, or sends bodies far larger, than the API is made for.",
			Evidence: "load: bodies beyond their route's norm and uploads of a quarter of an hour; rate: sustained creation",
			Remedy:   "Limit body sizes and creation per account, and remove what was put in.",
		},
		{
			Name: schemas.AttackCodeInjection, Title: "Code injection",
			OWASP: []string{"API8:2023", "API7:2023"}, MITRE: []string{"T1190", "T1059"}, PingIntelligence: []string{"11", "37", "41"},
			Seen:     "Values hold SQL, scripts, commands, templates or paths instead of data.",
			Evidence: "payload: parameter structure, a language model, a classifier and libinjection on decoded values",
			Remedy:   "Check the route named for how it uses the parameter, and whether any call succeeded.",
		},
		{
			Name: schemas.AttackExpensiveCalls, Title: "Expensive calls",
			OWASP: []string{"API4:2023"}, MITRE: []string{"T1499.003"}, PingIntelligence: []string{"11"},
			Seen:     "Few calls cost the backend many times what its routes usually cost.",
			Evidence: "load: calls beyond their route's duration norm, response time of a quarter of an hour",
			Remedy:   "Bound ranges, page sizes and depth of queries, and charge calls by their cost.",
		},
		{
			Name: schemas.AttackProbing, Title: "Probing and fuzzing",
			OWASP: []string{"API8:2023", "API9:2023"}, MITRE: []string{"T1595.002", "T1595.003"}, PingIntelligence: []string{"8", "32", "34", "101"},
			Seen:     "A client asks for what does not exist, or in ways that make no sense.",
			Evidence: "outcome: an e-process over bad requests",
			Remedy:   "Look at what it did find: an answer of 2xx among the refusals is the finding.",
		},
		{
			Name: schemas.AttackSlowProbing, Title: "Slow probing",
			OWASP: []string{"API8:2023", "API9:2023"}, MITRE: []string{"T1595.002"}, PingIntelligence: []string{"18", "19", "20", "33", "35"},
			Seen:     "The same, minutes apart.",
			Evidence: "outcome: the e-process counts attempts, not seconds",
			Remedy:   "As for probing; look days back for the same source.",
		},
		{
			Name: schemas.AttackDistributedDoS, Title: "Distributed denial of service",
			OWASP: []string{"API4:2023"}, MITRE: []string{"T1498", "T1499"}, PingIntelligence: []string{"9", "12", "13"},
			Seen:     "An API's calls grow by a crowd of clients of one kind, each below every limit.",
			Evidence: "crowd: a CUSUM of the API's calls, and a scan for the networks and fingerprints behind the excess",
			Remedy:   "Keep the cohort challenged until the excess ends, and cache or queue the route.",
		},
		{
			Name: schemas.AttackExtremeClient, Title: "Extreme client",
			OWASP: []string{"API4:2023"}, MITRE: []string{"T1499.003"}, PingIntelligence: []string{"10", "12"},
			Seen:     "A client calls far more than its kind, and than it did itself.",
			Evidence: "rate: hierarchical negative-binomial prediction of calls",
			Remedy:   "Talk to its owner, and set a quota.",
		},
		{
			Name: schemas.AttackIntervalAbuse, Title: "Interval abuse",
			OWASP: []string{"API6:2023"}, MITRE: []string{"T1657"}, PingIntelligence: []string{"10", "38"},
			Seen:     "A business call is repeated with the regularity of a machine, as in penny drops and card checks.",
			Evidence: "timing: what an adaptive code saves on the intervals",
			Remedy:   "Limit the business action by account and beneficiary, and ask for proof of a person.",
		},
		{
			Name: schemas.AttackSequenceAbuse, Title: "Sequence abuse",
			OWASP: []string{"API6:2023"}, MITRE: []string{"T1190"}, PingIntelligence: []string{"36"},
			Seen:     "A flow is called out of order, or without the steps that lead to it.",
			Evidence: "order: a variable-order Markov model of routes, and prerequisites that nearly all sessions keep",
			Remedy:   "Make the server check that the steps before were done.",
		},
		{
			Name: schemas.AttackExcessiveExposure, Title: "Excessive exposure",
			OWASP: []string{"API3:2023"}, MITRE: []string{"T1213"}, PingIntelligence: []string{"1"},
			Seen:     "Responses give far more than their route ever does.",
			Evidence: "load: responses beyond their route's size norm",
			Remedy:   "Bound page sizes and expansions, and return only the fields that are asked for.",
		},
		{
			Name: schemas.AttackRequestManipulation, Title: "Request manipulation",
			OWASP: []string{"API3:2023", "API8:2023"}, MITRE: []string{"T1190"}, PingIntelligence: []string{"37", "41", "101"},
			Seen:     "Parameters appear that the route does not have, or with other types, in other numbers or order.",
			Evidence: "payload: the learnt structure of each route's parameters",
			Remedy:   "Validate requests against a schema and refuse what it does not name.",
		},
		{
			Name: schemas.AttackDecoyHit, Title: "Decoy hit",
			OWASP: []string{"API9:2023"}, MITRE: []string{"T1595"}, PingIntelligence: []string{"100"},
			Seen:     "A route is called that exists only to be found.",
			Evidence: "a rule: a decoy call blocks a client that also makes legitimate calls, and challenges one that does not",
			Remedy:   "Treat the client's credential as used by somebody who maps the API.",
		},
		{
			Name: schemas.AttackMisconfiguration, Title: "Misconfiguration",
			OWASP: []string{"API8:2023", "API2:2023"}, MITRE: []string{"T1190"}, PingIntelligence: nil,
			Seen:     "A route answers callers without identity among routes that do not, speaks plain HTTP, or tells too much in errors.",
			Evidence: "posture: counts by route; never blocks a client",
			Remedy:   "Close the route, or tell weir that it is meant to be open.",
		},
	}
}
