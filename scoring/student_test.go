package scoring

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mathext"
)

func TestStudentTailOfSixIsTheIncompleteBetaFunction(t *testing.T) {
	for x := 0.01; x < 60; x *= 1.07 {
		want := math.Log(0.5 * mathext.RegIncBeta(3, 0.5, 6/(6+x*x)))
		if got := logStudentTail(x, studentDegrees); math.Abs(got-want) > 1e-6 {
			t.Errorf("t = %g: %.9f, want %.9f", x, got, want)
		}
	}
}
