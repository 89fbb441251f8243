package history

import (
	"bufio"
	"fmt"
	"io"
)

// An Entry is a state that a replica came to: after the entry of its log with that
// index, a hash of all that it answered until then.
type Entry struct {
	Index uint64
	Hash  uint64
}

// Write appends the entry to a journal: a line that tools for text can compare.
func (e Entry) Write(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%d %016x\n", e.Index, e.Hash)
	return err
}

// LoadJournal reads a replica's journal, through all its lives. A last line that
// was cut off is left out; any other that cannot be read is an error.
func LoadJournal(r io.Reader, each func(Entry) error) error {
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var e Entry
		if _, err := fmt.Sscanf(line, "%d %x\n", &e.Index, &e.Hash); err != nil {
			return fmt.Errorf("line %d: %q: %w", n, line, err)
		}
		if err := each(e); err != nil {
			return err
		}
	}
}
