package schemas

import (
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/weir-dev/weir/schemas/weirv1"
)

// typicalJSON is one call as a gateway's plug-in reports it.
const typicalJSON = `{"id":"0198c1f2-7a3b-7c44-9d55-2f6a1b8e0c3d","time":"2026-11-23T02:20:50.072613Z",` +
	`"gateway":"kong-eu-1","gateway_type":"kong","api":"accounts","route":"/v1/accounts/{id}",` +
	`"method":"GET","host":"api.example.com","path":"/v1/accounts/48213","query":"expand=owner",` +
	`"status":200,"req_bytes":0,"resp_bytes":1834,"duration_us":17250,"upstream_us":15102,` +
	`"client_ip":"203.0.113.77","consumer":"mobile-app","user":"u_8f3a91c2","user_agent":"okhttp/4.12.0"}`

func typicalEvent(tb testing.TB) *Event {
	tb.Helper()
	e := NewEvent()
	if err := e.DecodeJSON([]byte(typicalJSON)); err != nil {
		tb.Fatal(err)
	}
	return e
}

// jsonEvent is what a consumer without these codecs would decode into.
type jsonEvent struct {
	ID, Time, Tenant, Gateway, API, Route, Method, Scheme, Host, Path, Query string

	GatewayType string `json:"gateway_type"`
	Status      *int64
	ReqBytes    *int64 `json:"req_bytes"`
	RespBytes   *int64 `json:"resp_bytes"`
	DurationUS  *int64 `json:"duration_us"`
	UpstreamUS  *int64 `json:"upstream_us"`
	ClientIP    string `json:"client_ip"`
	Consumer    string
	User        string
	UserAgent   string `json:"user_agent"`
	Headers     map[string]string
	Attrs       map[string]string
}

func BenchmarkDecodeJSON(b *testing.B) {
	data := []byte(typicalJSON)
	b.Run("weir", func(b *testing.B) {
		e := NewEvent()
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if err := e.DecodeJSON(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			var e jsonEvent
			if err := json.Unmarshal(data, &e); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecodeProto(b *testing.B) {
	data := typicalEvent(b).AppendProto(nil)
	b.Run("weir", func(b *testing.B) {
		e := NewEvent()
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if err := e.DecodeProto(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("generated", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			var e weirv1.Event
			if err := proto.Unmarshal(data, &e); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	e := typicalEvent(b)
	for name, appendTo := range map[string]func([]byte) []byte{"json": e.AppendJSON, "proto": e.AppendProto} {
		b.Run(name, func(b *testing.B) {
			dst := appendTo(nil)
			b.SetBytes(int64(len(dst)))
			b.ReportAllocs()
			for b.Loop() {
				dst = appendTo(dst[:0])
			}
		})
	}
}

func BenchmarkFeatures(b *testing.B) {
	rng := newFiller(1)
	var f ClientFeatures
	rng.fill(&f)
	data := f.AppendProto(nil)
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if err := f.DecodeProto(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("append", func(b *testing.B) {
		var dst []byte
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			dst = f.AppendProto(dst[:0])
		}
	})
}
