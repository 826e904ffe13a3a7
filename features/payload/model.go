package payload

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // for the shipped prior
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
)

// ErrModel says that a model file cannot be used: torn, of another kind, or of
// another version.
var ErrModel = errors.New("payload model")

const (
	modelMagic = "weirpayl"
	// modelVersion rises with every change of what a model file holds or of how
	// texts become features, since weights mean nothing without those.
	modelVersion = 1
	// maxModelBytes bounds a model file after decompression.
	maxModelBytes = 8 << 20
	maxReplay     = 20000
)

//go:generate go run ../../training/buildpayload -out prior.bin.gz

//go:embed prior.bin.gz
var priorFile []byte

// Prior is the model shipped with the program, learnt from generated attacks and
// generated benign values alone.
func Prior() (*Detector, error) {
	d, err := Read(bytes.NewReader(priorFile))
	if err != nil {
		return nil, fmt.Errorf("loading the shipped payload prior: %w", err)
	}
	return d, nil
}

// Write writes the model, gzipped: magic, version, SHA-256 of the rest, the rest.
// The same model gives the same bytes.
func (d *Detector) Write(w io.Writer) error {
	body := d.body()
	sum := sha256.Sum256(body)
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return fmt.Errorf("compressing payload model: %w", err)
	}
	head := binary.LittleEndian.AppendUint32([]byte(modelMagic), modelVersion)
	for _, part := range [][]byte{head, sum[:], body} {
		if _, err := z.Write(part); err != nil {
			return fmt.Errorf("writing payload model: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("writing payload model: %w", err)
	}
	return nil
}

// Read reads what Write wrote. Its errors wrap ErrModel, or the reader's.
func Read(r io.Reader) (*Detector, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w: %w", ErrModel, err)
	}
	data, err := io.ReadAll(io.LimitReader(z, maxModelBytes+1))
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w: %w", ErrModel, err)
	}
	const head = len(modelMagic) + 4 + sha256.Size
	switch {
	case len(data) < head || string(data[:len(modelMagic)]) != modelMagic:
		return nil, fmt.Errorf("%w: not one", ErrModel)
	case len(data) > maxModelBytes:
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrModel, maxModelBytes)
	}
	if v := binary.LittleEndian.Uint32(data[len(modelMagic):]); v != modelVersion {
		return nil, fmt.Errorf("%w: version %d, this program reads %d", ErrModel, v, modelVersion)
	}
	body := data[head:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], data[len(modelMagic)+4:head]) {
		return nil, fmt.Errorf("%w: checksum differs", ErrModel)
	}
	d := &Detector{language: new(language), linear: new(linear), naming: new(naming)}
	f := file{buf: body, reading: true}
	d.walk(&f)
	if f.bad || len(f.buf) != 0 {
		return nil, fmt.Errorf("%w: torn", ErrModel)
	}
	d.seal(body)
	return d, nil
}

func (d *Detector) body() []byte {
	var f file
	d.walk(&f)
	return f.buf
}

// seal names the model by its content.
func (d *Detector) seal(body []byte) {
	sum := sha256.Sum256(body)
	d.version = hex.EncodeToString(sum[:6])
}

// walk visits everything a model holds, in one order for both directions.
func (d *Detector) walk(f *file) {
	f.bytes(d.language.surprise[:])
	for i := range d.linear.weights {
		f.int8(&d.linear.weights[i])
	}
	f.float(&d.linear.scale)
	f.float(&d.linear.bias)
	// Class by class, because most weights of a class are zero and then stand
	// together.
	for k := range numClasses {
		for i := range d.naming.weights {
			f.int8(&d.naming.weights[i][k])
		}
		b := uint32(d.naming.bias[k])
		f.u32(&b)
		d.naming.bias[k] = int32(b)
	}
	for i := range d.confide.weights {
		f.float(&d.confide.weights[i])
	}
	f.float(&d.confide.bias)
	n := f.length(len(d.confide.knots), maxKnots)
	if f.reading {
		d.confide.knots = make([]knot, n)
	}
	for i := range d.confide.knots {
		f.float(&d.confide.knots[i].Score)
		f.float(&d.confide.knots[i].Probability)
	}
	f.float(&d.threshold)
	n = f.length(len(d.replay), maxReplay)
	if f.reading {
		d.replay = make([][]byte, n)
	}
	for i := range d.replay {
		size := f.length(len(d.replay[i]), maxText)
		if f.reading {
			d.replay[i] = make([]byte, size)
		}
		f.bytes(d.replay[i])
	}
}

// file is a model's body being written, or read.
type file struct {
	buf     []byte
	reading bool
	bad     bool
}

func (f *file) bytes(b []byte) {
	if !f.reading {
		f.buf = append(f.buf, b...)
		return
	}
	if f.bad || len(f.buf) < len(b) {
		f.bad = true
		return
	}
	copy(b, f.buf)
	f.buf = f.buf[len(b):]
}

func (f *file) int8(v *int8) {
	b := [1]byte{byte(*v)}
	f.bytes(b[:])
	*v = int8(b[0])
}

func (f *file) u32(v *uint32) {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], *v)
	f.bytes(b[:])
	*v = binary.LittleEndian.Uint32(b[:])
}

func (f *file) float(v *float64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], math.Float64bits(*v))
	f.bytes(b[:])
	x := math.Float64frombits(binary.LittleEndian.Uint64(b[:]))
	if math.IsNaN(x) || math.IsInf(x, 0) {
		f.bad = true
		return
	}
	*v = x
}

// length is a count of at most limit.
func (f *file) length(n, limit int) int {
	u := uint32(n)
	f.u32(&u)
	if f.bad || u > uint32(limit) {
		f.bad = true
		return 0
	}
	return int(u)
}
