package ingest

import (
	"bytes"
	"context"
	"testing"

	"github.com/weir-dev/weir/schemas"
)

// benchLines are lines of ordinary traffic, the ones that speed is about.
func benchLines(name string) [][]byte {
	switch name {
	case FormatCombined:
		return [][]byte{
			[]byte(`198.51.100.7 - - [02/Mar/2026:09:15:01 +0000] "GET /v1/orders/42?expand=items&page=2 HTTP/1.1" 200 512 "https://shop.example/cart" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"`),
			[]byte(`203.0.113.40 - - [02/Mar/2026:09:15:02 +0000] "POST /v1/orders HTTP/1.1" 201 88 "-" "orders-cli/1.4 (linux; amd64)"`),
			[]byte(`2001:db8::17 - - [02/Mar/2026:09:15:03 +0000] "GET /static/app.js HTTP/2.0" 304 0 "https://shop.example/" "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"`),
		}
	case FormatNginxJSON:
		return [][]byte{
			[]byte(`{"time":"2026-03-02T09:15:01+00:00","msec":1772442901.350,"request_id":"0af7651916cd43dd8448eb211c80319c","remote_addr":"198.51.100.7","xff":"192.0.2.1","method":"GET","scheme":"https","host":"api.example","uri":"/v1/orders/42?x=1","path":"/v1/orders/42","args":"x=1","status":200,"request_length":110,"bytes_sent":171,"body_bytes_sent":9,"request_time":0.250,"upstream_addr":"10.0.0.9:80","upstream_status":"200","upstream_response_time":"0.200","user_agent":"curl/8.7","referer":"","proto":"HTTP/1.1","tls":"TLSv1.3","api_key":"k1","remote_user":""}`),
		}
	case FormatCaddy:
		return [][]byte{
			[]byte(`{"level":"info","ts":1772442901.3500001,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"10.0.0.2","remote_port":"43918","client_ip":"198.51.100.7","proto":"HTTP/2.0","method":"GET","host":"api.example","uri":"/v1/orders/42?x=1","headers":{"User-Agent":["curl/8.7"],"Accept":["*/*"],"X-Api-Key":["k1"]}},"bytes_read":0,"user_id":"","duration":0.250350746,"size":9,"status":200,"resp_headers":{"Server":["Caddy"],"Content-Type":["text/plain"]}}`),
		}
	case FormatTraefik:
		return [][]byte{
			[]byte(`{"ClientAddr":"198.51.100.7:51234","ClientHost":"198.51.100.7","ClientPort":"51234","ClientUsername":"-","DownstreamContentSize":9,"DownstreamStatus":200,"Duration":1532200,"OriginContentSize":9,"OriginDuration":1400500,"OriginStatus":200,"Overhead":132100,"RequestAddr":"api.example","RequestContentSize":0,"RequestCount":7,"RequestHost":"api.example","RequestMethod":"GET","RequestPath":"/v1/orders/42","RequestPort":"-","RequestProtocol":"HTTP/1.1","RequestScheme":"https","RetryAttempts":0,"RouterName":"orders@docker","ServiceAddr":"10.0.0.5:80","ServiceName":"orders@docker","ServiceURL":"http://10.0.0.5:80","StartLocal":"2026-03-02T10:15:01.072123+01:00","StartUTC":"2026-03-02T09:15:01.072123456Z","entryPointName":"websecure","level":"info","msg":"","time":"2026-03-02T10:15:01+01:00"}`),
		}
	case FormatHAProxy:
		return [][]byte{
			[]byte(`{"ts":"1772442901153","client_ip":"198.51.100.7","client_port":35620,"frontend":"fe","backend":"orders","server":"s1","method":"GET","path":"/v1/orders","query":"?x=1","status":200,"bytes_read":131,"bytes_uploaded":106,"Ta":14,"Tr":12,"term":"--","ua":"curl\/8.7","api_key":"k1"}`),
		}
	case FormatEPA:
		return [][]byte{[]byte(`gw3.example.net [29:23:53:25] "GET /Software.html HTTP/1.0" 200 1497`)}
	}
	return [][]byte{
		[]byte(`{"time":"2026-03-02T09:15:01.25Z","tenant":"acme","gateway":"g1","gateway_type":"kong","api":"orders","route":"/v1/orders/{id}","method":"GET","host":"api.example","path":"/v1/orders/42","query":"a=1","status":200,"resp_bytes":12,"client_ip":"198.51.100.7","user":"9f86d081884c7d659a2feaa0c55ad015"}`),
	}
}

func BenchmarkParse(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			a := testAdapter(b, name, Options{API: "orders"})
			lines := benchLines(name)
			size := 0
			for _, line := range lines {
				size += len(line)
			}
			ev := schemas.NewEvent()
			b.SetBytes(int64(size / len(lines)))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				ev.Reset()
				if err := a.Parse(lines[i], ev); err != nil {
					b.Fatal(err)
				}
				if i++; i == len(lines) {
					i = 0
				}
			}
		})
	}
}

// BenchmarkParseReader is whole files: cutting, parsing, delivering.
func BenchmarkParseReader(b *testing.B) {
	for _, name := range []string{FormatCombined, FormatNginxJSON} {
		b.Run(name, func(b *testing.B) {
			var text bytes.Buffer
			n := 0
			for text.Len() < 16<<20 {
				for _, line := range benchLines(name) {
					text.Write(line)
					text.WriteByte('\n')
					n++
				}
			}
			b.SetBytes(int64(text.Len()))
			b.ReportAllocs()
			for b.Loop() {
				_, err := ParseReader(context.Background(), bytes.NewReader(text.Bytes()), ParseOptions{Format: name}, func(batch *Batch) error {
					batch.Release()
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

func BenchmarkHasher(b *testing.B) {
	h := NewHasher(testKey(b))
	buf := make([]byte, 0, PseudonymLen)
	secret := []byte("a bearer token of some length, as they are: 0123456789abcdef")
	b.Run("remembered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = h.Append(buf[:0], KindCredential, secret)
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		var n byte
		for b.Loop() {
			n++
			secret[0], secret[1] = n, secret[1]+n&1
			clear(h.slots)
			buf = h.Append(buf[:0], KindCredential, secret)
		}
	})
}
