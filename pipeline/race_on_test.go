//go:build race

package pipeline

// underRace tells that the race detector makes everything ten times as slow.
const underRace = true
