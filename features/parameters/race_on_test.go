//go:build race

package parameters

const raceDetector = true
