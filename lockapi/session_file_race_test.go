package lockapi

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/lockd-io/lockd/fsm"
)

// Several processes begin with one file, at once: one of them has it, and the others
// are told so. None overwrites what another has published meanwhile, or two would
// speak for each other's sessions.
func TestOneFileForSeveralAtOnce(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "session")
		const processes = 8
		written := make([]error, processes)
		begin := make(chan struct{})
		var all sync.WaitGroup
		for i := range processes {
			all.Go(func() {
				<-begin
				written[i] = record{session: fsm.SessionID(i + 1)}.write(path, record{})
			})
		}
		close(begin)
		all.Wait()
		there, err := readRecord(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, err := range written {
			if mine := there.session == fsm.SessionID(i+1); mine != (err == nil) {
				t.Errorf("process %d wrote with %v; the file is of %d", i+1, err, there.session)
			}
		}
	}
}
