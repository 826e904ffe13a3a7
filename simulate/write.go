package simulate

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/weir-dev/weir/schemas"
)

// WriteNDJSON writes every event that is left in src as one line of canonical
// JSON and returns how many it wrote. Errors are those of w, wrapped.
func WriteNDJSON(w io.Writer, src Source) (int, error) {
	out := bufio.NewWriterSize(w, 1<<16)
	ev := schemas.NewEvent()
	var line []byte
	n := 0
	for src.Next(ev) {
		line = append(ev.AppendJSON(line[:0]), '\n')
		if _, err := out.Write(line); err != nil {
			return n, fmt.Errorf("writing event: %w", err)
		}
		n++
	}
	if err := out.Flush(); err != nil {
		return n, fmt.Errorf("writing event: %w", err)
	}
	return n, nil
}

// WriteLabels writes labels as NDJSON. Errors are those of w, wrapped.
func WriteLabels(w io.Writer, labels []schemas.Label) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for i := range labels {
		if err := enc.Encode(&labels[i]); err != nil {
			return fmt.Errorf("writing label: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing label: %w", err)
	}
	return nil
}
