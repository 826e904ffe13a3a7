package config

// suggest returns the candidate nearest to a misspelt word, or "" when none is
// near enough to be what was meant: more than half of it would have to change.
func suggest(word string, candidates []string) string {
	best, bestDistance := "", len(word)+1
	for _, c := range candidates {
		d := editDistance(word, c)
		if d < bestDistance && d <= (max(len(word), len(c))+1)/2 {
			best, bestDistance = c, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions and replacements of bytes that
// turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = 1 + min(diagonal, row[j], row[j-1])
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}
