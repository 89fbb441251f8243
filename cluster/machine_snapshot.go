package cluster

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/fsm"
)

// installsMax: snapshots installed in a row without an entry applied in
// between. One more means that raft installs for ever (raft#697).
const installsMax = 5

// grown counts the bytes since the last snapshot, and asks for the next.
func (m *machine) grown(bytes int) {
	if m.size += int64(bytes); m.size < m.snapshotBytes {
		return
	}
	select {
	case m.large <- struct{}{}:
	default:
	}
}

// Snapshot freezes the state. A node that has failed makes none: raft believes
// that it holds more than it does.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	if m.failed() {
		return nil, errFailed
	}
	m.size = 0
	begun := time.Now()
	view := m.view()
	m.paused(time.Since(begun))
	return frozen{view, m.taken}, nil
}

// paused notes for how long no entry could be applied.
func (m *machine) paused(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tally.pause = max(m.tally.pause, d)
}

// Restore replaces the state by a snapshot: at start, or because this node was
// so far behind that the leader has not got the entries any more. Whoever waits
// here for one of those entries is answered from the snapshot, or sends again.
func (m *machine) Restore(r io.ReadCloser) error {
	defer r.Close()
	if m.failed() {
		return errFailed
	}
	if m.installs++; m.installs > installsMax {
		return m.failing(fmt.Errorf("%w: %d snapshots installed and no entry applied after any of them",
			ErrStuck, m.installs))
	}
	begun := time.Now()
	state, err := restore(r)
	if err != nil {
		return m.failing(fmt.Errorf("%w: snapshot: %w", ErrCorrupt, err))
	}
	m.mu.Lock()
	m.state = state
	m.publishLocked()
	m.tally.installed++
	m.mu.Unlock()
	m.journal(state.Chain())
	m.size = 0
	m.logger.Info("snapshot restored", "index", state.Applied())

	m.pendings.fromSnapshot(state.Applied(), m.lookup, &m.tell)
	m.subs.restored(m)
	m.tell.tell()
	m.pendings.resend(bySnapshot)
	m.paused(time.Since(begun))
	return nil
}

func restore(content io.Reader) (*fsm.State, error) {
	if err := skipLabel(content); err != nil {
		return nil, err
	}
	return fsm.Restore(content)
}

func (m *machine) failing(err error) error {
	m.fail(err)
	return err
}

// frozen is a state on its way into a snapshot.
type frozen struct {
	view  *fsm.View
	taken *atomic.Uint64
}

// Persist writes the snapshot; on an error there is none.
func (f frozen) Persist(sink raft.SnapshotSink) error {
	var err error
	if l, ok := sink.(labelled); ok {
		err = l.writeLabel()
	}
	if err == nil {
		_, err = f.view.WriteTo(sink)
	}
	if err != nil {
		return errors.Join(err, sink.Cancel())
	}
	err = sink.Close()
	if err == nil {
		f.taken.Add(1)
	}
	return err
}

// Release has nothing to release: a View is memory.
func (f frozen) Release() {}
