package payload

import (
	"unsafe"

	"github.com/corazawaf/libinjection-go"
)

// injected asks libinjection, which reads strings and keeps none of them.
func injected(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	s := unsafe.String(&b[0], len(b))
	if found, _ := libinjection.IsSQLi(s); found {
		return true
	}
	return libinjection.IsXSS(s)
}
