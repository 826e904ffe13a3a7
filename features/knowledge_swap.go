package features

// SetKnowledge puts other knowledge in place of the Extractor's, nil for none.
// What was found about a call stays; clients' open windows are read by the new
// knowledge as a whole, so that an Extractor restored in the middle of one goes on
// like one that was never stopped.
func (x *Extractor) SetKnowledge(k *Knowledge) {
	if k == nil {
		k = noKnowledge()
	}
	x.cfg.Knowledge = k
	for _, sh := range x.shards {
		for _, c := range sh.open {
			c.steps = k.sequence(c.api, c.client)
			c.stale = true
		}
	}
}
