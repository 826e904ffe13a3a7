//go:build !race

package parameters

const raceDetector = false
