// Package payload judges values of API calls for injected code: SQL, script,
// commands, paths, templates and their kin, in any parameter, body field or
// header, without knowing the API.
//
// A value passes through stages, cheap ones first. Decoding layers are undone
// (percent, entities, escapes, overlong and fullwidth UTF-8, base64, SQL
// comments), nested JSON and URLs are taken apart, and values that cannot carry
// code are left. The rest are read by a character-class trigram language model,
// whose worst 8-byte window no amount of padding can dilute, by a logistic
// regression on hashed n-grams and tokens, whose worst stretch counts for the
// same reason, and, where those two are not sure that a value is harmless, by
// libinjection. A logistic on the stages' outputs and an isotonic curve make one
// confidence of them.
package payload

// Class names a kind of injected code; empty: none.
type Class string

// The classes, in the order in which models number them. The order is part of
// the model format: new ones go to the end.
const (
	Benign     Class = ""
	SQLi       Class = "sqli"
	XSS        Class = "xss"
	Command    Class = "command"
	Traversal  Class = "traversal"
	Template   Class = "template"
	NoSQL      Class = "nosql"
	LDAP       Class = "ldap"
	XXE        Class = "xxe"
	Log4j      Class = "log4j"
	SSRF       Class = "ssrf"
	Header     Class = "header" // CRLF: response splitting, forged log lines
	Code       Class = "code"   // PHP, server-side includes, serialised objects
	numClasses       = 12       // kinds of attack; Benign is not numbered
)

var classNames = [numClasses]Class{SQLi, XSS, Command, Traversal, Template, NoSQL, LDAP, XXE, Log4j, SSRF, Header, Code}

// Classes lists the kinds of attack a finding may name, in a fixed order.
func Classes() []Class { return append([]Class(nil), classNames[:]...) }

// Finding is the judgement of one value.
type Finding struct {
	// Confidence is the calibrated probability of an attack, 0..1, were attacks as
	// frequent as benign values. 0 for a value that cannot carry code.
	Confidence float64
	// Class is the likeliest kind of attack; Benign below a confidence of one half.
	Class Class
	// SpanStart and SpanEnd enclose the worst 8-byte window of Decoded.
	SpanStart, SpanEnd int
	// LM is the language model's surprise in that window, nats.
	LM float64
	// Classifier is the logit of the value's worst stretch.
	Classifier float64
	// Libinjection tells whether libinjection agrees. It is asked only about
	// values that the stages before it do not find harmless.
	Libinjection bool
	// Decoded is what was judged after every layer was undone: the value, or the
	// worst part of it (a field of nested JSON, a parameter of a URL). It aliases
	// the Scratch and is valid until its next use.
	Decoded []byte
}

// Detector is a model of what attacks and benign values look like. It is
// immutable and may be used from any number of goroutines, each with a Scratch
// of its own.
type Detector struct {
	language  *language
	linear    *linear
	naming    *naming
	confide   confidence
	threshold float64
	replay    [][]byte // attacks that Learn holds the classifier to
	version   string
}

// DefaultThreshold is the confidence from which a value counts as an attack: at
// most one in a thousand held-out benign values reaches it.
func (d *Detector) DefaultThreshold() float64 { return d.threshold }

// Version identifies the model's content.
func (d *Detector) Version() string { return d.version }

const (
	// maxValue bounds what of one value is decoded: its head and its tail.
	maxValue     = 4096
	maxValueHead = 3072
	// maxText bounds what of one decoded text is judged, again head and tail.
	maxText     = 1024
	maxTextHead = 512
	// maxDepth bounds decoding layers and nesting together.
	maxDepth = 8
	// spanBytes is the language model's window.
	spanBytes = 8
)

// Scratch holds one caller's buffers. The zero value is ready; it must not be
// copied after use nor shared between goroutines.
type Scratch struct {
	cut    [maxValue]byte           // a long value's head and tail
	layers [maxDepth][maxValue]byte // what each layer decodes to
	text   text
	best   [maxText]byte // the worst text so far
	found  Finding
	window windowOf // of found, for naming
	budget int      // bytes of text that may still be judged
	judged int      // texts judged since start

	// collect, if set, is given every text instead of its being judged: training
	// sees what use sees.
	collect func([]byte)
}

// requestBudget bounds the text that is judged of one call, bytes.
const requestBudget = 16 << 10

func (s *Scratch) start(budget int) {
	s.found, s.budget, s.judged = Finding{}, budget, 0
}

// Value judges one value as it stands in a call, still encoded.
func (d *Detector) Value(s *Scratch, value []byte) Finding {
	s.start(requestBudget)
	d.judge(s, value, 0, asIs)
	d.name(s)
	return s.found
}

// manner tells how the bytes of a layer are to be read.
type manner uint8

const (
	asIs   manner = iota // unknown: plus signs stand for spaces only where there are none
	isForm               // form encoding: a plus sign is a space
	isJSON               // the inside of a JSON string
	isText               // nothing but what an interpreter behind the API may decode
)

// shorten cuts the middle out of a value that is too long.
func (s *Scratch) shorten(value []byte) []byte {
	if len(value) <= maxValue {
		return value
	}
	n := copy(s.cut[:], value[:maxValueHead])
	copy(s.cut[n:], value[len(value)-(maxValue-n):])
	return s.cut[:]
}

// judge takes value apart and judges its texts, keeping the worst in s.found.
func (d *Detector) judge(s *Scratch, value []byte, depth int, m manner) {
	value = s.shorten(value)
	if harmless(value) {
		if depth < maxDepth && len(value) >= minBase64 {
			d.judgeBase64(s, value, depth)
		}
		return
	}
	if depth < maxDepth {
		if d.judgeNested(s, value, depth) || d.judgeBase64(s, value, depth) {
			return
		}
		if n, changed := decode(s.layers[depth][:], value, m); changed {
			d.judge(s, s.layers[depth][:n], depth+1, isText)
			return
		}
	}
	d.judgeText(s, value)
}

// judgeText runs the stages on a fully decoded text.
func (d *Detector) judgeText(s *Scratch, b []byte) {
	if s.budget <= 0 {
		return
	}
	if s.collect != nil {
		s.budget -= min(len(b), maxText)
		s.collect(b)
		return
	}
	t := &s.text
	t.set(b)
	s.budget -= len(t.decoded())
	s.judged++
	var f Finding
	f.LM, f.SpanStart, f.SpanEnd = d.language.worst(t.decoded())
	w := d.linear.worst(t)
	f.Classifier = w.logit
	if f.Classifier > clearlyHarmless {
		f.Libinjection = injected(t.decoded())
	}
	f.Confidence = d.confide.of(evidenceOf(&f, len(t.decoded())))
	if s.judged > 1 && f.Confidence <= s.found.Confidence && s.found.Decoded != nil {
		return
	}
	f.Decoded = s.best[:copy(s.best[:], t.decoded())]
	s.found, s.window = f, w
}

// name says of what class the worst text is.
func (d *Detector) name(s *Scratch) {
	if s.found.Confidence >= 0.5 {
		s.text.set(s.found.Decoded)
		s.found.Class = d.naming.class(&s.text, s.window)
	}
}
