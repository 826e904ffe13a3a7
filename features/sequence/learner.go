package sequence

import (
	"cmp"
	"slices"
)

// Recent is how many of a client's different routes are remembered for
// prerequisites.
const Recent = 12

// SessionGap is the silence, in microseconds, after which a client's calls are a
// new session: nothing precedes its first call.
const SessionGap = 30 * 60 * 1_000_000

// What a prerequisite takes: in which share of how many sessions of how many
// clients it comes first.
const (
	minShare    = 0.8
	minSessions = 200
	minClients  = 20
	// minVoters is how many clients must have made a step before it counts: what
	// one client does defines nothing.
	minVoters = 3
	maxCounts = 8192
	hour      = 3600 * 1_000_000
)

// Learner counts the steps of an API's clients. Each client has one vote an hour
// for each step, so that a busy one does not define what is normal.
type Learner struct {
	names   map[Route]string
	clients map[uint64]*walker
	counts  map[step]*tally
	before  map[edge]*tally // First called before Then in the session
	reached map[Route]*tally
	voted   map[uint64]int64 // hour of a client's last vote for a step
}

type step struct{ before, last, next Route }

type edge struct{ first, then Route }

type tally struct {
	n      int
	voters int
	last   [minClients]uint64 // different clients that voted, as many as matter
}

func (t *tally) vote(client uint64) {
	t.n++
	if t.voters < minClients && !slices.Contains(t.last[:t.voters], client) {
		t.last[t.voters] = client
		t.voters++
	}
}

type walker struct {
	at           int64
	before, last Route
	recent       []Route
}

// NewLearner returns a Learner that has seen nothing.
func NewLearner() *Learner {
	return &Learner{
		names: map[Route]string{Start: StartName}, clients: map[uint64]*walker{}, counts: map[step]*tally{},
		before: map[edge]*tally{}, reached: map[Route]*tally{}, voted: map[uint64]int64{},
	}
}

// Add takes a client's next call: the hash of its key, the route's name and the
// event time in microseconds. A client's calls must come in order of time.
func (l *Learner) Add(client uint64, name []byte, at int64) {
	r := Hash(name)
	if _, ok := l.names[r]; !ok {
		l.names[r] = string(name)
	}
	w := l.clients[client]
	if w == nil {
		w = &walker{}
		l.clients[client] = w
	}
	if at-w.at > SessionGap {
		*w = walker{recent: w.recent[:0]}
	}
	w.at = at
	if r == w.last && !Repeats(name) {
		return
	}
	if w.last == 0 {
		w.last = Start
		l.count(client, step{next: Start}, at)
	}
	l.count(client, step{next: r}, at)
	l.count(client, step{last: w.last, next: r}, at)
	if w.before != 0 {
		l.count(client, step{w.before, w.last, r}, at)
	}
	l.precede(client, w, r, at)
	w.before, w.last = w.last, r
	w.recent = remember(w.recent, r)
}

func remember(recent []Route, r Route) []Route {
	if i := slices.Index(recent, r); i >= 0 {
		return recent
	}
	if len(recent) == Recent {
		copy(recent, recent[1:])
		recent = recent[:Recent-1]
	}
	return append(recent, r)
}

// mayVote tells whether a client has not voted on something in this hour.
func (l *Learner) mayVote(client, about uint64, at int64) bool {
	key := pair(client, about)
	if h, ok := l.voted[key]; ok && h == at/hour {
		return false
	}
	l.voted[key] = at / hour
	return true
}

func (l *Learner) count(client uint64, s step, at int64) {
	if !l.mayVote(client, pair(pair(s.before, s.last), s.next), at) {
		return
	}
	t := l.counts[s]
	if t == nil {
		t = &tally{}
		l.counts[s] = t
	}
	t.vote(client)
}

// precede counts what came before a route in the session, one vote a client and
// hour for the route as a whole, so that shares are of the same sessions.
func (l *Learner) precede(client uint64, w *walker, then Route, at int64) {
	if !l.mayVote(client, pair(^uint64(0), then), at) {
		return
	}
	t := l.reached[then]
	if t == nil {
		t = &tally{}
		l.reached[then] = t
	}
	t.vote(client)
	for _, first := range w.recent {
		if first == then {
			continue
		}
		e := edge{first, then}
		b := l.before[e]
		if b == nil {
			b = &tally{}
			l.before[e] = b
		}
		b.vote(client)
	}
}

// Steps is what was learnt, in a fixed order; nil when it is nothing.
func (l *Learner) Steps() *Steps {
	index := map[Route]int{}
	out := &Steps{}
	for s, t := range l.counts {
		if s.last == 0 && t.voters >= minVoters {
			out.Routes = append(out.Routes, l.names[s.next])
		}
	}
	if len(out.Routes) == 0 {
		return nil
	}
	slices.Sort(out.Routes)
	for i, name := range out.Routes {
		index[Hash([]byte(name))] = i
	}
	at := func(r Route) (int, bool) {
		if r == 0 {
			return -1, true
		}
		i, ok := index[r]
		return i, ok
	}
	for s, t := range l.counts {
		before, ok1 := at(s.before)
		last, ok2 := at(s.last)
		next, ok3 := at(s.next)
		if ok1 && ok2 && ok3 && t.voters >= minVoters {
			out.Counts = append(out.Counts, Count{before, last, next, t.n})
		}
	}
	slices.SortFunc(out.Counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Last, b.Last), cmp.Compare(a.Before, b.Before), cmp.Compare(a.Next, b.Next))
	})
	out.Counts = out.Counts[:min(len(out.Counts), maxCounts)]
	for e, t := range l.before {
		first, ok1 := at(e.first)
		then, ok2 := at(e.then)
		all := l.reached[e.then]
		if !ok1 || !ok2 || all.n < minSessions || all.voters < minClients {
			continue
		}
		if share := float64(t.n) / float64(all.n); share >= minShare {
			out.Prerequisites = append(out.Prerequisites, Prerequisite{first, then, share, all.n})
		}
	}
	slices.SortFunc(out.Prerequisites, func(a, b Prerequisite) int {
		return cmp.Or(cmp.Compare(a.Then, b.Then), cmp.Compare(b.Share, a.Share), cmp.Compare(a.First, b.First))
	})
	return out
}
