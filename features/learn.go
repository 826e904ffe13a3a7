package features

import (
	"bytes"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/weir-dev/weir/schemas"
)

// Rules of the route learner. A path position is a value, not a name, when many
// different literals stand there, new ones keep coming, successful calls of many
// clients carry them, and what follows them looks alike.
const (
	minLiterals     = 64   // distinct literals below a node
	minNewRate      = 0.05 // Good-Turing: share of calls that bring a literal seen once
	minRouteClients = 10   // distinct clients with success
	pinShare        = 0.01 // a literal with more of the node's calls stays a name …
	pinClients      = 10   // … if this many clients used it
	minAlike        = 0.8  // share of literals whose subtrees have the commonest shape
	maxRouteNodes   = 20_000
	maxNodeLiterals = 4096
	minCollapseAt   = 1 // never the first segment: that would merge whole APIs
)

// RouteLearner finds which path positions are values in observed traffic. It is
// meant for a central learner, whose rules all extractors then share. Calls that
// found nothing (404, 410) teach it nothing, so a scanner cannot shape it.
type RouteLearner struct {
	root   *routeNode
	nodes  int
	client []byte
}

type routeNode struct {
	children map[string]*routeNode
	typed    map[segmentClass]*routeNode
	calls    int
	success  int
	leaf     bool // calls end here
	clients  bitmap256
	capped   bool // more literals than are kept
}

// NewRouteLearner returns a learner that has seen nothing.
func NewRouteLearner() *RouteLearner {
	return &RouteLearner{root: &routeNode{}}
}

// Observe takes one event in. Events whose gateway names the route teach nothing.
func (l *RouteLearner) Observe(e *schemas.Event) {
	if e.Status == 404 || e.Status == 410 || e.Status < 100 || len(e.Route) > 0 {
		return
	}
	l.path(e)
}

func (l *RouteLearner) path(e *schemas.Event) {
	l.client = AppendClientKey(l.client[:0], e)
	client := xxhash.Sum64(l.client)
	success := e.Status >= 200 && e.Status < 400
	n := l.root
	for seg := range bytes.SplitSeq(e.Path, []byte("/")) {
		if len(seg) == 0 {
			continue
		}
		n = l.child(n, seg)
		if n == nil {
			return
		}
		n.calls++
		if success {
			n.success++
			n.clients.add(client)
		}
	}
	n.leaf = true
}

func (l *RouteLearner) child(n *routeNode, seg []byte) *routeNode {
	if class := classify(seg); class != segWord {
		c := n.typed[class]
		if c == nil {
			if n.typed == nil {
				n.typed = map[segmentClass]*routeNode{}
			}
			c = l.node()
			n.typed[class] = c
		}
		return c
	}
	c := n.children[string(seg)]
	if c == nil {
		if len(n.children) >= maxNodeLiterals || l.nodes >= maxRouteNodes*4 {
			n.capped = true
			return nil
		}
		if n.children == nil {
			n.children = map[string]*routeNode{}
		}
		c = l.node()
		n.children[string(seg)] = c
	}
	return c
}

func (l *RouteLearner) node() *routeNode {
	l.nodes++
	return &routeNode{}
}

// Rules sums up what was learnt.
func (l *RouteLearner) Rules() RouteRules {
	var r RouteRules
	l.collapse(&r, []*routeNode{l.root}, "", 0)
	return r
}

// collapse walks the tree; nodes are what one template position merges.
func (l *RouteLearner) collapse(r *RouteRules, nodes []*routeNode, template string, depth int) {
	literals := map[string][]*routeNode{}
	typed := map[segmentClass][]*routeNode{}
	for _, n := range nodes {
		for name, c := range n.children {
			literals[name] = append(literals[name], c)
		}
		for class, c := range n.typed {
			typed[class] = append(typed[class], c)
		}
	}
	names := make([]string, 0, len(literals))
	for name := range literals {
		names = append(names, name)
	}
	slices.Sort(names)
	if depth >= minCollapseAt {
		if pinned, ok := collapsible(names, literals); ok {
			r.Collapsed = append(r.Collapsed, CollapsedRoute{Parent: template, Pinned: pinned})
			var values []*routeNode
			kept := names[:0:0]
			for _, name := range names {
				if _, found := slices.BinarySearch(pinned, name); found {
					kept = append(kept, name)
				} else {
					values = append(values, literals[name]...)
				}
			}
			l.collapse(r, values, template+"/{slug}", depth+1)
			names = kept
		}
	}
	for _, name := range names {
		l.collapse(r, literals[name], template+"/"+name, depth+1)
	}
	for class := segInt; class < segSlug; class++ {
		if ns := typed[class]; len(ns) > 0 {
			l.collapse(r, ns, template+"/"+segmentNames[class], depth+1)
		}
	}
}

// collapsible applies the rules to the literals below one position; pinned are
// those that stay names, sorted.
func collapsible(names []string, literals map[string][]*routeNode) (pinned []string, ok bool) {
	if len(names) < minLiterals {
		return nil, false
	}
	total, success, once := 0, 0, 0
	for _, name := range names {
		calls := 0
		for _, n := range literals[name] {
			calls += n.calls
			success += n.success
		}
		total += calls
		if calls == 1 {
			once++
		}
	}
	var clients bitmap256
	shapes := map[uint64]int{}
	values := 0
	for _, name := range names {
		calls := 0
		var own bitmap256
		shape := uint64(0)
		for _, n := range literals[name] {
			calls += n.calls
			for i := range own {
				own[i] |= n.clients[i]
			}
			shape = mergeShapes(shape, n.shape())
		}
		if float64(calls) > pinShare*float64(total) && own.estimate() >= pinClients {
			pinned = append(pinned, name)
			continue
		}
		for i := range clients {
			clients[i] |= own[i]
		}
		shapes[shape]++
		values++
	}
	alike := 0
	for _, n := range shapes {
		alike = max(alike, n)
	}
	ok = values >= minLiterals && float64(once) > minNewRate*float64(total) &&
		clients.estimate() >= minRouteClients && 2*success >= total &&
		float64(alike) >= minAlike*float64(values)
	return pinned, ok
}

// shape tells what may follow a node: whether calls end there, and the types of
// values and how many names stand below.
func (n *routeNode) shape() uint64 {
	s := uint64(bits.Len(uint(len(n.children))))
	if n.leaf {
		s |= 1 << 8
	}
	for class := range n.typed {
		s |= 1 << (16 + class)
	}
	return s
}

// mergeShapes is the shape of several nodes that one template position merges:
// the most names of any, and whatever may follow any.
func mergeShapes(a, b uint64) uint64 {
	const names = 0xff
	return max(a&names, b&names) | (a|b)&^names
}
