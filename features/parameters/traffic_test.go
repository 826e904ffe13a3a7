package parameters

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/weir-dev/weir/schemas"
)

// call is a request with all that Add and Judge need of it.
type call struct {
	e      *schemas.Event
	route  []byte
	client []byte
}

// get makes a call of GET path?query by a client.
func get(client int, path, query string) call {
	e := schemas.NewEvent()
	e.API, e.Method, e.Path, e.Query, e.Status = []byte("shop"), []byte("GET"), []byte(path), []byte(query), 200
	return call{e: e, route: []byte("GET " + path), client: []byte("ip:" + strconv.Itoa(client))}
}

// post makes a call of POST path with a body.
func post(client int, path, contentType, body string) call {
	c := get(client, path, "")
	c.e.Method, c.e.ContentType, c.e.BodySample, c.e.ReqBytes = []byte("POST"), []byte(contentType), []byte(body), int64(len(body))
	c.route = []byte("POST " + path)
	return c
}

func (c call) teach(l *Learner) { l.Add(c.e, c.route, c.client) }

func (c call) judge(m *Model) Result { return m.Judge(NewScratch(), c.e, c.route) }

// kinds of values that parameters of generated APIs have.
var generators = []func(r *rand.Rand) func() string{
	func(r *rand.Rand) func() string { // page numbers and amounts
		most := 10 << r.IntN(16)
		return func() string { return strconv.Itoa(r.IntN(most)) }
	},
	func(r *rand.Rand) func() string { // a small enumeration
		n := 1 + r.IntN(8)
		return func() string { return words[r.IntN(n)] }
	},
	func(r *rand.Rand) func() string {
		return func() string {
			return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", r.Uint32(), r.Uint32()>>16, r.Uint32()>>20, r.Uint32()>>20, r.Uint64()>>16)
		}
	},
	func(r *rand.Rand) func() string { // codes such as ORD-48213
		return func() string { return fmt.Sprintf("ORD-%05d", r.IntN(100000)) }
	},
	func(r *rand.Rand) func() string {
		return func() string { return fmt.Sprintf("%d.%02d", r.IntN(500), r.IntN(100)) }
	},
	func(r *rand.Rand) func() string {
		return func() string { return fmt.Sprintf("2026-%02d-%02d", 1+r.IntN(12), 1+r.IntN(28)) }
	},
	func(r *rand.Rand) func() string { // names and search terms
		return func() string {
			var s []string
			for range 1 + r.IntN(4) {
				s = append(s, words[r.IntN(len(words))])
			}
			return strings.Join(s, " ")
		}
	},
	func(r *rand.Rand) func() string { // sentences
		marks := []string{". ", ", ", " ", " ", " ", " ", " - ", "! ", "? ", "'s "}
		return func() string {
			var b strings.Builder
			for range 5 + r.IntN(20) {
				b.WriteString(words[r.IntN(len(words))])
				b.WriteString(marks[r.IntN(len(marks))])
			}
			return b.String()
		}
	},
	func(r *rand.Rand) func() string {
		return func() string {
			return words[r.IntN(len(words))] + "." + words[r.IntN(len(words))] + "@example.com"
		}
	},
	func(r *rand.Rand) func() string { // user names
		return func() string { return words[r.IntN(len(words))] + strconv.Itoa(r.IntN(200)) }
	},
	func(r *rand.Rand) func() string { return func() string { return []string{"true", "false"}[r.IntN(2)] } },
	func(r *rand.Rand) func() string { return func() string { return fmt.Sprintf("%032x", r.Uint64()) } },
}

var words = strings.Fields(`open closed pending shipped returned river stone winter apple Market garden
	blue Orange table light summer train window Paper coffee bridge forest silver
	mountain letter music yellow Harbour number ocean market engine travel`)

// attacks are strings of which each kind of parameter should think little.
var attacks = []string{"1' or '1'='1", "1;drop table users--", "<script>alert(1)</script>", "../../../../etc/passwd",
	"${jndi:ldap://x/a}", "a|cat /etc/passwd", "{{7*7}}", "1 union select null,null#", "\x00", "x\r\nSet-Cookie: a=b"}
