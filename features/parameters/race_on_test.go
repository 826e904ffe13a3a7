//go:build race

package parameters_test

const raceDetector = true
