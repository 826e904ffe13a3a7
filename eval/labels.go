package eval

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/weir-dev/weir/schemas"
)

// ErrLabel says that a line of labels cannot be used.
var ErrLabel = errors.New("label")

// maxLabel bounds a line of labels, bytes.
const maxLabel = 1 << 20

// ReadLabels reads labels as NDJSON: entity_type, entity, attack, and start and
// end, RFC 3339. Empty lines are passed over. The error is ErrLabel, with the
// number of the line, or that of the reader.
func ReadLabels(r io.Reader) ([]schemas.Label, error) {
	var labels []schemas.Label
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLabel)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var l schemas.Label
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrLabel, n, err)
		}
		switch {
		case l.EntityType == "" || l.Entity == "" || l.Attack == "":
			return nil, fmt.Errorf("%w: line %d names no entity or no attack", ErrLabel, n)
		case l.Start.IsZero() || l.End.Before(l.Start):
			return nil, fmt.Errorf("%w: line %d: from %s to %s", ErrLabel, n, l.Start, l.End)
		}
		labels = append(labels, l)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading labels: %w", err)
	}
	return labels, nil
}
