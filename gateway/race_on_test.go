//go:build race

package gateway

// raceEnabled: the race detector makes sync.Pool drop items on purpose, so
// allocations are not counted under it.
const raceEnabled = true
