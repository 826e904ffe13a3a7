package parameters

// Parameters is how many parameters the Learner holds, of all APIs and routes.
func (l *Learner) Parameters() int { return l.params }
