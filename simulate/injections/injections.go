// Package injections writes what travels in the values of API calls: attack
// strings of every class that code injection has, in many syntactic variants,
// obfuscations and encodings, and the benign values that look most like them.
//
// Everything comes from grammars written for this package and from the random
// generator it is given; nothing is quoted from lists of other projects. The
// same generator state gives the same bytes. Attacks name hosts of reserved
// domains and random addresses only.
package injections

import (
	"math/rand/v2"
	"slices"
)

// Classes lists the classes that Attack knows, in a fixed order.
func Classes() []string {
	return []string{
		"sqli", "xss", "command", "traversal", "template", "nosql", "ldap", "xxe",
		"log4j", "ssrf", "header", "code",
	}
}

// Attack is one attack string of a class, as a client would send it: plain, or
// encoded as obfuscation goes. It is nil for a class that Classes does not list.
func Attack(class string, r *rand.Rand) []byte {
	if !slices.Contains(Classes(), class) {
		return nil
	}
	e := expander{r: r}
	e.expand("attack-"+class, 0)
	return disguise(e.out, class, r)
}

// Benign is one value as honest clients send: words, names, addresses, prose,
// identifiers, tokens, addresses of pages, nested JSON, markup, telemetry. Some
// are encoded, as they are inside other values.
func Benign(r *rand.Rand) []byte {
	e := expander{r: r}
	e.expand("benign", 0)
	if r.IntN(12) == 0 {
		return percentEncode(e.out, false)
	}
	return e.out
}
