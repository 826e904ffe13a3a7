package payload

// Values made of these bytes alone carry no code in any language that an API
// might hand them to: words, numbers, identifiers and UTF-8 letters without
// spaces. Two dots in a row are a step up in a path, a lone dash may start an
// option: only the first is looked for here, because the second needs a space.
var plainByte = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "_-." {
		t[c] = true
	}
	// Lead bytes of overlong (0xC0, 0xC1) and of fullwidth (0xEF) forms, of
	// modifier letters that some servers read as quotes (0xCA) and of
	// invalid long forms stand for ASCII that is not plain.
	for c := 0x80; c < 0xf5; c++ {
		t[c] = c != 0xc0 && c != 0xc1 && c != 0xca && c != 0xe0 && c != 0xef && c != 0xf0
	}
	return t
}()

// harmless tells whether a value cannot carry code.
func harmless(v []byte) bool {
	dot := false
	for _, c := range v {
		if !plainByte[c] {
			return false
		}
		if c == '.' {
			if dot {
				return false
			}
			dot = true
		} else {
			dot = false
		}
	}
	return true
}
