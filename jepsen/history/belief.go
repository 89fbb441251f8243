package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// A Belief is a time in which a client was sure that it held an exclusive lock:
// its first look at the grant and the last one at which it was still valid, on the
// clock of the history.
type Belief struct {
	Client int    `json:"client"`
	Token  uint64 `json:"token"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
}

// WriteBelief writes one line. A belief may be written as often as it grows.
func WriteBelief(w io.Writer, b Belief) error {
	line, err := json.Marshal(b)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n')) // at once: the process may be killed
	return err
}

// LoadBeliefs reads what WriteBelief wrote, each belief as far as it had grown. What
// is behind the last end of a line is left out: a process that was killed may leave
// half a line.
func LoadBeliefs(r io.Reader) ([]Belief, error) {
	type hold struct {
		client int
		token  uint64
	}
	var all []Belief
	known := make(map[hold]int)
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		var b Belief
		if err := strictly(line, &b); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		at := hold{b.Client, b.Token}
		if i, ok := known[at]; ok {
			all[i].From, all[i].To = min(all[i].From, b.From), max(all[i].To, b.To)
			continue
		}
		known[at] = len(all)
		all = append(all, b)
	}
}
