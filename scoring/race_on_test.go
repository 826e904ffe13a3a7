//go:build race

package scoring

// raceEnabled tells tests of one goroutine that only take long.
const raceEnabled = true
