package httpsource

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics have bounded labels: formats, reasons and status codes.
type metrics struct {
	accepted *prometheus.CounterVec
	refused  *prometheus.CounterVec
	uncopied prometheus.Counter
	requests *prometheus.CounterVec
	bytes    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_http_events_accepted_total", Help: "Events received over HTTP and written to Kafka.",
		}, []string{"format"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_http_events_refused_total", Help: "Records received over HTTP and refused.",
		}, []string{"format", "reason"}),
		uncopied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_http_events_refused_uncopied_total", Help: "Refused records above a request's limit of dead letters.",
		}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_http_requests_total", Help: "Requests answered, by status code.",
		}, []string{"code"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_http_body_bytes_total", Help: "Bytes of bodies received, decompressed.",
		}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.accepted, m.refused, m.uncopied, m.requests, m.bytes} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}
