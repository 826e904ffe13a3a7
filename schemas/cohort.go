package schemas

// ScopeCohort is the scope of block entries about all callers of an API that
// share a network, a fingerprint or both; AppendCohortValue writes the value.
const ScopeCohort = "cohort"

// AppendCohortValue appends the value of a cohort's block key, such as
// "asn=64500,ja4=t13d1516h2_8daaf6152771_02713d6af862,api=bank". The fingerprint
// is a JA4, or "ua:" and the family of the user agent; a part that is empty or
// "-" is left out and any caller's fits. The API is always there: an entry is of
// one API. A gateway looks up the values that fit its caller.
func AppendCohortValue(dst, asn, fingerprint, api []byte) []byte {
	if known(asn) {
		dst = append(append(append(dst, "asn="...), asn...), ',')
	}
	if known(fingerprint) {
		if len(fingerprint) > 3 && string(fingerprint[:3]) == "ua:" {
			dst = append(append(dst, "ua="...), fingerprint[3:]...)
		} else {
			dst = append(append(dst, "ja4="...), fingerprint...)
		}
		dst = append(dst, ',')
	}
	return append(append(dst, "api="...), api...)
}

func known(part []byte) bool { return len(part) > 0 && string(part) != "-" }
