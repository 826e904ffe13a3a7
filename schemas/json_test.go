package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/weir-dev/weir/schemas/weirv1"
)

// checkRefused asserts the reason and field of an error, and that nothing of
// the record is left in e.
func checkRefused(t *testing.T, e *Event, err error, reason Reason, field string) {
	t.Helper()
	de, ok := err.(*DecodeError)
	if !ok {
		t.Fatalf("got %v, want a DecodeError with %s", err, reason)
	}
	if de.Reason != reason || de.Field != field {
		t.Fatalf("got %s in %q, want %s in %q", de.Reason, de.Field, reason, field)
	}
	if e.API != nil || e.Status != Unknown || e.UnknownFields != 0 || len(e.Headers) != 0 {
		t.Fatalf("refused record left %+v", e)
	}
}

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

func manyEntries(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":"v"`, i)
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

func TestDecodeJSONRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		data   string
		reason Reason
		field  string
	}{
		"nothing":                     {``, ReasonMalformedJSON, ""},
		"an array":                    {`[]`, ReasonMalformedJSON, ""},
		"a bare string":               {`"x"`, ReasonMalformedJSON, ""},
		"an open object":              {`{"api":"x"`, ReasonMalformedJSON, ""},
		"a trailing comma":            {`{"api":"x",}`, ReasonMalformedJSON, ""},
		"a missing comma":             {`{"api":"x" "id":"y"}`, ReasonMalformedJSON, ""},
		"a missing colon":             {`{"api" "x"}`, ReasonMalformedJSON, ""},
		"a name without quotes":       {`{api:"x"}`, ReasonMalformedJSON, ""},
		"trailing bytes":              {`{"api":"x"} {}`, ReasonMalformedJSON, ""},
		"a byte order mark":           {"\ufeff{}", ReasonMalformedJSON, ""},
		"a control character":         {"{\"api\":\"x\ny\"}", ReasonMalformedJSON, "api"},
		"an unknown escape":           {`{"api":"\x41"}`, ReasonMalformedJSON, "api"},
		"a short unicode escape":      {`{"api":"\u12"}`, ReasonMalformedJSON, "api"},
		"an escape at the end":        {`{"api":"\`, ReasonMalformedJSON, "api"},
		"a bad literal":               {`{"api":nul}`, ReasonMalformedJSON, "api"},
		"a bad unknown value":         {`{"new":tru}`, ReasonMalformedJSON, ""},
		"a bad unknown number":        {`{"new":01}`, ReasonMalformedJSON, ""},
		"a number with a bare point":  {`{"status":1.}`, ReasonMalformedJSON, "status"},
		"a number with a bare e":      {`{"status":1e}`, ReasonMalformedJSON, "status"},
		"a leading zero":              {`{"status":0200}`, ReasonMalformedJSON, "status"},
		"a leading plus":              {`{"status":+200}`, ReasonMalformedJSON, "status"},
		"a string for an integer":     {`{"status":"200"}`, ReasonWrongType, "status"},
		"an integer for a string":     {`{"api":5}`, ReasonWrongType, "api"},
		"an object for a string":      {`{"api":{}}`, ReasonWrongType, "api"},
		"a bool for an integer":       {`{"asn":true}`, ReasonWrongType, "asn"},
		"a fraction":                  {`{"status":200.5}`, ReasonWrongType, "status"},
		"a fraction by exponent":      {`{"duration_us":125e-2}`, ReasonWrongType, "duration_us"},
		"a string for a map":          {`{"headers":"a"}`, ReasonWrongType, "headers"},
		"an array for a map":          {`{"attrs":[]}`, ReasonWrongType, "attrs"},
		"a number in a map":           {`{"attrs":{"n":1}}`, ReasonWrongType, "attrs"},
		"a number for the time":       {`{"time":1795400450}`, ReasonWrongType, "time"},
		"a negative status":           {`{"status":-1}`, ReasonOutOfRange, "status"},
		"a negative size":             {`{"req_bytes":-5}`, ReasonOutOfRange, "req_bytes"},
		"a status of four digits":     {`{"status":1000}`, ReasonOutOfRange, "status"},
		"a port above 65535":          {`{"client_port":65536}`, ReasonOutOfRange, "client_port"},
		"an asn above 32 bits":        {`{"asn":4294967296}`, ReasonOutOfRange, "asn"},
		"a size above 63 bits":        {`{"resp_bytes":9223372036854775808}`, ReasonOutOfRange, "resp_bytes"},
		"a size of twenty digits":     {`{"resp_bytes":18446744073709551617}`, ReasonOutOfRange, "resp_bytes"},
		"a huge exponent":             {`{"resp_bytes":1e999999999999}`, ReasonOutOfRange, "resp_bytes"},
		"a time that is none":         {`{"time":"yesterday"}`, ReasonInvalidTime, "time"},
		"an empty time":               {`{"time":""}`, ReasonInvalidTime, "time"},
		"text not UTF-8":              {"{\"path\":\"/\xff\"}", ReasonInvalidUTF8, "path"},
		"unknown text not UTF-8":      {"{\"new\":\"/\xc3\"}", ReasonInvalidUTF8, ""},
		"a name not UTF-8":            {"{\"\xff\":1}", ReasonInvalidUTF8, ""},
		"an earlier value of a type":  {`{"status":"x","status":200}`, ReasonWrongType, "status"},
		"nesting of 17":               {`{"new":` + nested(MaxDepth) + `}`, ReasonTooDeep, ""},
		"nesting without an end":      {`{"new":` + strings.Repeat("[", 100_000), ReasonTooDeep, ""},
		"a body sample of 4097 bytes": {`{"body_sample":"` + strings.Repeat("x", 4097) + `"}`, ReasonTooLarge, "body_sample"},
		"257 headers":                 {`{"headers":` + manyEntries(257) + `}`, ReasonTooLarge, "headers"},
		"257 times one attribute":     {`{"attrs":{"a":"b"` + strings.Repeat(`,"a":"b"`, 256) + `}}`, ReasonTooLarge, "attrs"},
		"more than a mebibyte":        {`{"new":"` + strings.Repeat("x", MaxEventBytes) + `"}`, ReasonTooLarge, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEvent()
			if err := e.DecodeJSON([]byte(`{"api":"before","status":200,"other":1,"headers":{"a":"b"}}`)); err != nil {
				t.Fatal(err)
			}
			checkRefused(t, e, e.DecodeJSON([]byte(tc.data)), tc.reason, tc.field)
			if _, err := oracleDecode([]byte(tc.data)); err == nil {
				t.Fatal("the oracle accepts it")
			}
		})
	}
}

// acceptedJSON are records at the edges of the rules; TestDecodeJSONAccepts
// compares each with the oracle, and they seed the fuzzer.
var acceptedJSON = map[string]string{
	"typical":                    typicalJSON,
	"empty object":               `{}`,
	"white space everywhere":     " \t\r\n{ \"api\" : \"x\" , \"status\" : 5 , \"headers\" : { \"a\" : \"b\" } , \"n\" : [ 1 , { } ] } \n",
	"null everywhere":            `{"id":null,"time":null,"status":null,"headers":null,"attrs":{"a":null},"new":null}`,
	"null after a value":         `{"api":"x","api":null,"status":5,"status":null,"time":"2026-01-01T00:00:00Z","time":null}`,
	"null after a map":           `{"attrs":{"a":"b"},"attrs":null}`,
	"null after an entry":        `{"attrs":{"a":"1","b":"2","a":null}}`,
	"repeated fields":            `{"api":"x","status":1,"api":"y","status":2}`,
	"repeated map":               `{"headers":{"a":"1","b":"2"},"headers":{"c":"3"}}`,
	"repeated key":               `{"headers":{"a":"1","b":"2","a":"3"}}`,
	"repeated unknown":           `{"new":1,"new":2}`,
	"case of names":              `{"API":"x","Status":5}`,
	"escaped name":               `{"\u0061pi":"x","st\u0061tus":7}`,
	"escaped map key":            `{"attrs":{"\u0061":"1","a":"2"}}`,
	"all escapes":                `{"path":"\"\\\/\b\f\n\r\t\u00e9\u20AC"}`,
	"surrogate pair":             `{"path":"\ud83c\udf0a!"}`,
	"lone high surrogate":        `{"path":"a\ud83cb"}`,
	"lone low surrogate":         `{"path":"a\udf0ab"}`,
	"high surrogate twice":       `{"path":"\ud83c\ud83c\udf0a"}`,
	"high surrogate, escape":     `{"path":"\ud83c\n"}`,
	"high surrogate, character":  `{"path":"\ud83c\u0041"}`,
	"high surrogate, short end":  `{"path":"\ud83c\\u12"}`,
	"raw multi-byte text":        "{\"path\":\"/h\u00f6fe/\u6c34/\U0001F30A/\u2028\"}",
	"escapes in several fields":  `{"id":"a\tb","api":"c\td","path":"e\tf","attrs":{"k\t1":"v\t1","k\t2":"v\t2"}}`,
	"integral point":             `{"status":200.0,"req_bytes":0.0,"asn":12.50e1}`,
	"integral exponent":          `{"status":2e2,"req_bytes":1500E-2,"resp_bytes":0.12e+3,"upstream_us":100.00}`,
	"zero in every dress":        `{"status":-0,"req_bytes":-0.0,"resp_bytes":0e99999999999,"asn":0.000e-5}`,
	"small by a huge fraction":   `{"req_bytes":1` + strings.Repeat("0", 400) + `e-400}`,
	"limits":                     `{"status":999,"client_port":65535,"asn":4294967295,"req_bytes":9223372036854775807,"resp_bytes":9.223372036854775807e18}`,
	"nesting of 16":              `{"new":` + nested(MaxDepth-1) + `}`,
	"unknown values":             `{"a":true,"b":false,"c":-1.5e+10,"d":"x\u0041","e":[1,[],{"f":{}}],"":0}`,
	"empty strings":              `{"api":"","headers":{"":""}}`,
	"time with an offset":        `{"time":"2026-11-23T03:50:50.0726139+01:30"}`,
	"time at the ends":           `{"time":"1970-01-01T00:00:00.000001Z"}`,
	"escaped time":               `{"time":"2026\u002d11-23T00:00:00Z"}`,
	"body sample of 4096 bytes":  `{"body_sample":"` + strings.Repeat("x", 4095) + `\n"}`,
	"256 headers":                `{"headers":` + manyEntries(256) + `}`,
	"quote at each word's place": `{"id":"1234567","api":"12345678","path":"123456789","host":"1234567\n","query":"12345678\u00e9"}`,
}

func TestDecodeJSONAccepts(t *testing.T) {
	e := NewEvent()
	for name, data := range acceptedJSON {
		t.Run(name, func(t *testing.T) {
			want, err := oracleDecode([]byte(data))
			if err != nil {
				t.Fatalf("the oracle refuses it: %v", err)
			}
			if err := e.DecodeJSON([]byte(data)); err != nil {
				t.Fatal(err)
			}
			if d := want.diff(e); d != "" {
				t.Fatal(d)
			}
		})
	}
}

// More escaped text than the scratch holds makes it grow several times within
// one record; text decoded before each growth must stay whole.
func TestDecodeJSONGrowingScratchKeepsEarlierText(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"attrs":{`)
	for i := range 200 {
		fmt.Fprintf(&b, `"k\t%d":"%s\n%d",`, i, strings.Repeat("v", i), i)
	}
	data := strings.TrimSuffix(b.String(), ",") + "}}"
	e := NewEvent()
	if err := e.DecodeJSON([]byte(data)); err != nil {
		t.Fatal(err)
	}
	for i, kv := range e.Attrs {
		if want := fmt.Sprintf("k\t%d", i); string(kv.Key) != want {
			t.Fatalf("key %d = %q, want %q", i, kv.Key, want)
		}
		if want := fmt.Sprintf("%s\n%d", strings.Repeat("v", i), i); string(kv.Value) != want {
			t.Fatalf("value %d = %q, want %q", i, kv.Value, want)
		}
	}
}

func TestDecodeJSONOfTruncatedRecords(t *testing.T) {
	for name, data := range acceptedJSON {
		whole := strings.TrimRight(data, " \n")
		for cut := range min(len(whole), 2000) {
			clipped := bytes.Clone([]byte(whole[:cut]))[:cut:cut]
			if err := NewEvent().DecodeJSON(clipped); err == nil {
				t.Fatalf("%s: accepted the first %d bytes: %q", name, cut, clipped)
			}
		}
	}
}

func TestAppendJSONIsReadBackByBothDecoders(t *testing.T) {
	for seed := range uint64(300) {
		var e Event
		newFiller(seed).fill(&e)
		data := e.AppendJSON(nil)
		if !json.Valid(data) {
			t.Fatalf("not JSON: %s", data)
		}
		want, err := oracleDecode(data)
		if err != nil {
			t.Fatalf("the oracle refuses %s: %v", data, err)
		}
		if d := want.diff(&e); d != "" {
			t.Fatalf("%s in %s", d, data)
		}
		got := NewEvent()
		if err := got.DecodeJSON(data); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.AppendJSON(nil), data) {
			t.Fatalf("second writing differs:\n%s\n%s", got.AppendJSON(nil), data)
		}
		if !proto.Equal(mirror(t, got, &weirv1.Event{}), mirror(t, &e, &weirv1.Event{})) {
			t.Fatal("JSON and Protobuf disagree")
		}
	}
}

// An adapter may hand over what a gateway logged, whatever that is: the record
// written must still be one that every decoder accepts.
func TestAppendRepairsWhatNoDecoderAccepts(t *testing.T) {
	many := make([]KV, MaxMapEntries+1)
	for i := range many {
		many[i] = KV{fmt.Appendf(nil, "k%d", i), []byte("\xff")}
	}
	bad := &Event{
		ID: []byte("a\xffb\xc3"), Time: -5, Status: 1000, ReqBytes: -7, ClientPort: 70_000, ASN: 1 << 32,
		RespBytes: 5, DurationUS: Unknown, UpstreamUS: Unknown,
		Headers: many, BodySample: bytes.Repeat([]byte("\xff\u20ac"), 1000),
	}
	for name, codec := range map[string]struct {
		appendTo func([]byte) []byte
		decode   func(*Event, []byte) error
	}{
		"json":  {bad.AppendJSON, (*Event).DecodeJSON},
		"proto": {bad.AppendProto, (*Event).DecodeProto},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEvent()
			if err := codec.decode(e, codec.appendTo(nil)); err != nil {
				t.Fatal(err)
			}
			if string(e.ID) != "a\ufffdb\ufffd" || e.Time != 0 || e.Status != Unknown ||
				e.ReqBytes != Unknown || e.ClientPort != Unknown || e.ASN != Unknown || e.RespBytes != 5 {
				t.Fatalf("got %+v", e)
			}
			if len(e.Headers) != MaxMapEntries || string(e.Headers[3].Value) != "\ufffd" {
				t.Fatalf("got %d headers", len(e.Headers))
			}
			if want := strings.Repeat("\ufffd\u20ac", 682) + "\ufffd"; string(e.BodySample) != want {
				t.Fatalf("body sample has %d bytes, want %d", len(e.BodySample), len(want))
			}
		})
	}
}

// FuzzDecodeJSON compares with encoding/json: both accept or both refuse, with
// the same content, which survives both encodings.
func FuzzDecodeJSON(f *testing.F) {
	for _, data := range acceptedJSON {
		f.Add([]byte(data))
	}
	for _, data := range []string{`{"status":1e-1}`, "{\"a\":\"\xff\"}", `{"time":"2026-02-29T00:00:00Z"}`, `{"attrs":{"a":1}}`, `{"a":"\ud8"}`} {
		f.Add([]byte(data))
	}
	e, again := NewEvent(), NewEvent()
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		err := e.DecodeJSON(data)
		want, oracleErr := oracleDecode(data)
		if (err == nil) != (oracleErr == nil) {
			t.Fatalf("got %v, encoding/json says %v", err, oracleErr)
		}
		if !bytes.Equal(before, data) {
			t.Fatal("decoding changed the record")
		}
		if err != nil {
			if ReasonOf(err) == ReasonOther || ReasonOf(err) == ReasonMalformedProtobuf {
				t.Fatalf("reason %q", ReasonOf(err))
			}
			return
		}
		if d := want.diff(e); d != "" {
			t.Fatal(d)
		}
		want.unknown = 0
		if err := again.DecodeJSON(e.AppendJSON(nil)); err != nil || want.diff(again) != "" {
			t.Fatalf("after AppendJSON: %v %s", err, want.diff(again))
		}
		if err := again.DecodeProto(e.AppendProto(nil)); err != nil || want.diff(again) != "" {
			t.Fatalf("after AppendProto: %v %s", err, want.diff(again))
		}
	})
}
