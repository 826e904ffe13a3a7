package simulate

// queue is a four-way heap of the agents' next calls. Entries carry the time,
// so that ordering never touches the agents; the agent's index breaks ties,
// which keeps the order of the benign events whatever is added after them.
type queue []entry

type entry struct {
	at    int64
	agent uint32
}

func (e entry) before(o entry) bool {
	return e.at < o.at || e.at == o.at && e.agent < o.agent
}

func (q queue) build() {
	for i := (len(q) - 2) / 4; i >= 0 && len(q) > 1; i-- {
		q.down(i)
	}
}

func (q queue) down(i int) {
	e := q[i]
	for {
		first := 4*i + 1
		if first >= len(q) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(q)); c++ {
			if q[c].before(q[least]) {
				least = c
			}
		}
		if !q[least].before(e) {
			break
		}
		q[i] = q[least]
		i = least
	}
	q[i] = e
}

func (q queue) replaceFirst(at int64) {
	q[0].at = at
	q.down(0)
}

func (q *queue) dropFirst() {
	last := len(*q) - 1
	(*q)[0] = (*q)[last]
	*q = (*q)[:last]
	if last > 0 {
		q.down(0)
	}
}
