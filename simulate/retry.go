package simulate

import "math"

// retryStyle is what a program does when its call fails in the backend.
type retryStyle uint8

const (
	backOff retryStyle = iota // doubles its pauses
	steady                    // asks again after a fifteenth of its usual interval
	insist                    // asks again after a fiftieth of it
)

// anyRetry draws a style: most programs back off, one in seven hammers.
func (g *Generator) anyRetry() retryStyle {
	switch x := g.dice.float(); {
	case x < .6:
		return backOff
	case x < .86:
		return steady
	}
	return insist
}

// wait is the pause in seconds before the n-th repetition, from 1, of a call
// that is otherwise made every so many seconds; false gives up.
func (s retryStyle) wait(d *dice, n int, every float64) (float64, bool) {
	switch s {
	case steady:
		return every / 15 * d.between(.97, 1.03), n <= 200
	case insist:
		return every / 50 * d.between(.98, 1.05), n <= 800
	}
	return min(1.5*math.Exp2(float64(n-1)), every/2+1) * d.between(.7, 1.3), n <= 8
}

// failed says that a status is the backend's failure: an answer of 5xx or none.
func failed(status int64) bool { return status == 0 || status >= 500 }
