package features

// How far an API is learnt, as Status.Status says.
const (
	StatusLearning = "learning" // what it leans on is mostly the prior
	StatusTrained  = "trained"  // its own traffic weighs most
)

// Status is how far an API is learnt, and from what.
type Status struct {
	Status   string `json:"status"`
	Windows  int    `json:"windows"`  // windows of clients behind it
	Clients  int    `json:"clients"`  // clients behind it
	Networks int    `json:"networks"` // networks of those clients, where they are known
	Since    int64  `json:"since"`    // event time of the first window, µs since 1970
}

// What it takes for an API to be trained.
const (
	trainedWindows = 1000
	trainedSources = 3
)

// NewStatus judges an API by its counts. No networks means that addresses are not
// known.
func NewStatus(windows, clients, networks int, since int64) Status {
	s := Status{Status: StatusLearning, Windows: windows, Clients: clients, Networks: networks, Since: since}
	if windows >= trainedWindows && clients >= trainedSources && (networks >= trainedSources || networks == 0) {
		s.Status = StatusTrained
	}
	return s
}
