package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// lineMax bounds one line of a file: an acquire of 64 long names, and more.
const lineMax = 1 << 20

// Save writes an operation a line.
func Save(w io.Writer, h History) error {
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	for i := range h {
		if err := lines.Encode(&h[i]); err != nil {
			return err
		}
	}
	return out.Flush()
}

// Load reads what Save wrote. Empty lines, and lines that begin with #, are for
// people. An operation without an ID has the number of its line. The history is valid, or the error says in which line or operation it
// is not.
func Load(r io.Reader) (History, error) {
	var h History
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, lineMax)
	for n := 1; lines.Scan(); n++ {
		line := lines.Bytes()
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		var o Op
		if err := strictly(line, &o); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if o.ID == 0 {
			o.ID = n
		}
		h = append(h, o)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return h, h.Validate()
}

func strictly(line []byte, o any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	switch err := d.Decode(o); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends within an operation: each is one line, as jq -c makes them")
	case err != nil:
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one JSON object")
	}
	return nil
}
