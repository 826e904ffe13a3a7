package payload

const namingBits = 14

// naming tells the classes apart: one linear model a class on the features of
// the worst window, of which the highest wins.
type naming struct {
	weights [1 << namingBits][numClasses]int8
	bias    [numClasses]int32 // in units of a weight
}

func (m *naming) class(t *text, w windowOf) Class {
	score := m.bias
	for _, f := range t.feats[t.first[w.start]:t.first[min(w.end, t.m)]] {
		row := &m.weights[f&(1<<namingBits-1)]
		for k := range score {
			score[k] += int32(row[k])
		}
	}
	best := 0
	for k := range score {
		if score[k] > score[best] {
			best = k
		}
	}
	return classNames[best]
}
