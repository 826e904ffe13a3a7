package payload

import (
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"strings"
)

// rawRequests reads requests that stand in a file as they were sent, one after
// another with blank lines between. A body has the length that its header
// states.
func rawRequests(r io.Reader) ([]*Request, error) {
	all, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("reading raw requests: %w", err)
	}
	text := string(all)
	var out []*Request
	for {
		text = strings.TrimLeft(text, "\r\n")
		if text == "" {
			return out, nil
		}
		var first string
		first, text = cutRawLine(text)
		method, rest, ok := strings.Cut(first, " ")
		// The target may itself hold spaces, where the attack is one of syntax.
		end := strings.LastIndex(rest, " HTTP/")
		if !ok || end < 0 {
			return nil, fmt.Errorf("%w: request line %.60q of request %d", ErrRefused, first, len(out)+1)
		}
		req := &Request{Method: method, URL: rest[:end], Headers: map[string]string{}}
		for text != "" {
			var h string
			if h, text = cutRawLine(text); h == "" {
				break
			}
			name, value, ok := strings.Cut(h, ":")
			if !ok {
				return nil, fmt.Errorf("%w: header line %.60q of request %d", ErrRefused, h, len(out)+1)
			}
			req.Headers[textproto.CanonicalMIMEHeaderKey(name)] = strings.TrimSpace(value)
		}
		if length := req.Headers["Content-Length"]; length != "" {
			n, err := strconv.Atoi(length)
			if err != nil || n < 0 || n > len(text) {
				return nil, fmt.Errorf("%w: content length %q of request %d", ErrRefused, length, len(out)+1)
			}
			req.Body, text = text[:n], text[n:]
		}
		out = append(out, req)
	}
}

func cutRawLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}
