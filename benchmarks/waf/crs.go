package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/collection"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"

	"github.com/weir-dev/weir/eval/payload"
)

// directives are Coraza's recommended configuration and the CRS as they are:
// paranoia 1, threshold 5. Responses are not measured. Detection only, so that
// every rule adds to the score; what would be stopped is told by the score, and
// by rules outside the score that deny a body which cannot be parsed.
const directives = `
Include @coraza.conf-recommended
Include @crs-setup.conf.example
Include @owasp_crs/REQUEST-*.conf
SecRuleEngine DetectionOnly
SecResponseBodyAccess Off
SecAuditEngine Off
`

// inboundThreshold is the anomaly score at which the CRS blocks by default.
const inboundThreshold = 5

// crs is Coraza with the CRS.
func crs() (*payload.Subject, error) {
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(directives))
	if err != nil {
		return nil, fmt.Errorf("loading the CRS: %w", err)
	}
	return &payload.Subject{
		Name:      "CRS, paranoia 1",
		Threshold: 0.5,
		New:       func() (payload.Scorer, error) { return scorer{waf}, nil },
	}, nil
}

type scorer struct{ waf coraza.WAF }

// Score is the anomaly score s as s/(s+5): 0.5 is where the CRS blocks. A
// request that it cannot be given counts as blocked.
func (s scorer) Score(r *payload.Request) float64 {
	v, err := s.anomaly(asRequest(r))
	if err != nil {
		return 1
	}
	return v / (v + inboundThreshold)
}

// asRequest makes an otherwise faultless request of a row that is none: a bare
// string is the value of a query parameter, and a URL without any header gets
// those of a browser. Rules on missing headers would fire on every such row.
func asRequest(r *payload.Request) *payload.Request {
	if !r.Bare() && len(r.Headers) > 0 {
		return r
	}
	c := *r
	if r.Bare() {
		c.Method, c.URL = http.MethodGet, "/?q="+url.QueryEscape(r.Payload)
	}
	c.Headers = map[string]string{
		"Host": "www.example.org", "Accept": "*/*", "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
	}
	if r.Body != "" {
		c.Headers["Content-Type"] = "application/x-www-form-urlencoded"
	}
	return &c
}

var errNoState = errors.New("the transaction does not show its variables")

func (s scorer) anomaly(r *payload.Request) (float64, error) {
	tx := s.waf.NewTransaction()
	defer func() { _ = tx.Close() }()
	host, path, query := r.Split()
	uri := path
	if query != "" {
		uri += "?" + query
	}
	tx.ProcessConnection("192.0.2.1", 40000, "192.0.2.2", 80)
	tx.ProcessURI(uri, r.Method, "HTTP/1.1")
	tx.SetServerName(host)
	for name, value := range r.Headers {
		tx.AddRequestHeader(name, value)
	}
	if r.Header("Host") == "" {
		tx.AddRequestHeader("Host", host)
	}
	if r.Body != "" && r.Header("Content-Length") == "" {
		tx.AddRequestHeader("Content-Length", strconv.Itoa(len(r.Body)))
	}
	tx.ProcessRequestHeaders()
	if r.Body != "" {
		if _, _, err := tx.ReadRequestBodyFrom(strings.NewReader(r.Body)); err != nil {
			return 0, fmt.Errorf("giving the body: %w", err)
		}
	}
	if _, err := tx.ProcessRequestBody(); err != nil {
		return 0, fmt.Errorf("processing the body: %w", err)
	}
	return score(tx)
}

// score reads the anomaly score; a body in error counts as blocked.
func score(tx types.Transaction) (float64, error) {
	state, ok := tx.(plugintypes.TransactionState)
	if !ok {
		return 0, errNoState
	}
	v := number(state.Variables().TX(), "blocking_inbound_anomaly_score")
	if e := state.Variables().RequestBodyError(); e != nil && e.Get() != "" && e.Get() != "0" {
		v = max(v, inboundThreshold)
	}
	return v, nil
}

func number(c collection.Keyed, name string) float64 {
	values := c.Get(name)
	if len(values) == 0 {
		return 0
	}
	v, err := strconv.ParseFloat(values[0], 64)
	if err != nil {
		return 0
	}
	return v
}
