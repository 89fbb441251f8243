package cluster

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// A guard stands between raft and the store. raft would go on leading after a
// write that failed or while one hangs; and after a failed fsync the kernel
// may report the next as good. So the first such write latches: fail is told,
// and nothing is read or written any more.
type guard struct {
	patience time.Duration // of one write
	fail     func(error)
	writes   *histogram // of the log; nil counts nothing

	writing atomic.Int32 // writes under way
	mu      sync.Mutex   // guards failed
	failed  error
}

// err is why the guard latched, or nil.
func (g *guard) err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}

// latch fails for good. Only the first reason counts.
func (g *guard) latch(why error) error {
	g.mu.Lock()
	first := g.failed == nil
	if first {
		g.failed = fmt.Errorf("%w: %w", ErrStorage, advised(why))
	}
	failed := g.failed
	g.mu.Unlock()
	if first && g.fail != nil {
		g.fail(failed)
	}
	return failed
}

// hangs tells whether a write is under way on a guard that latched.
func (g *guard) hangs() bool { return g.err() != nil && g.writing.Load() > 0 }

// recovered runs op and turns a panic into an error: the store's library
// asserts what it reads, and the bytes of a disk must not end the process.
func (g *guard) recovered(what string, op func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // the file is mapped: a bad sector is a fault
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: damaged: %v (%s)", what, p, damaged)
		}
	}()
	return op()
}

// tried is op, tried again while there are no descriptors for it, so that it is over
// before the disk counts as hanging.
func (g *guard) tried(op func() error) func() error {
	return func() error { return patiently(g.patience*3/4, op) }
}

// write runs a write, watched while it runs: one that never returns is the
// case that matters.
func (g *guard) write(what string, op func() error) error {
	if err := g.err(); err != nil {
		return err
	}
	g.writing.Add(1)
	defer g.writing.Add(-1)
	dog := watch(g.patience, func() {
		g.latch(fmt.Errorf("%s takes more than %v: the disk hangs", what, g.patience))
	})
	defer dog.stop()
	if err := g.recovered(what, g.tried(op)); err != nil {
		return g.latch(fmt.Errorf("%s: %w", what, err))
	}
	return g.err() // too late is failed
}

// read runs a read. That something is not there is an answer; what does not
// read as it was written is the end.
func (g *guard) read(what string, op func() error) error {
	if err := g.err(); err != nil {
		return err
	}
	err := g.recovered(what, g.tried(op))
	switch {
	case err == nil, errors.Is(err, raft.ErrLogNotFound), errors.Is(err, raftboltdb.ErrKeyNotFound):
		return err
	default:
		return g.latch(fmt.Errorf("%s: %w", what, err))
	}
}

// guardedLogs is the log behind the guard.
type guardedLogs struct {
	store raft.LogStore
	guard *guard
}

func (l guardedLogs) FirstIndex() (index uint64, err error) {
	err = l.guard.read("first index", func() (err error) { index, err = l.store.FirstIndex(); return err })
	return index, err
}

func (l guardedLogs) LastIndex() (index uint64, err error) {
	err = l.guard.read("last index", func() (err error) { index, err = l.store.LastIndex(); return err })
	return index, err
}

func (l guardedLogs) GetLog(index uint64, entry *raft.Log) error {
	return l.guard.read("read the log", func() error { return l.store.GetLog(index, entry) })
}

func (l guardedLogs) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

func (l guardedLogs) StoreLogs(entries []*raft.Log) error {
	begun := time.Now()
	err := l.guard.write("append to the log", func() error { return l.store.StoreLogs(entries) })
	l.guard.writes.observe(time.Since(begun))
	return err
}

func (l guardedLogs) DeleteRange(low, high uint64) error {
	return l.guard.write("delete from the log", func() error { return l.store.DeleteRange(low, high) })
}

// IsMonotonic implements raft.MonotonicLogStore.
func (l guardedLogs) IsMonotonic() bool {
	store, ok := l.store.(raft.MonotonicLogStore)
	return ok && store.IsMonotonic()
}

// guardedStable is term and vote behind the guard.
type guardedStable struct {
	store   raft.StableStore
	guard   *guard
	running *atomic.Bool
}

func (s guardedStable) Set(key, value []byte) error {
	return s.guard.write("write the vote", func() error { return s.store.Set(key, value) })
}

func (s guardedStable) Get(key []byte) (value []byte, err error) {
	err = s.guard.read("read the vote", func() (err error) { value, err = s.store.Get(key); return err })
	return value, err
}

// SetUint64 latches the guard and ends the calling goroutine if the term cannot
// be written. The caller is raft's main loop, which would panic at an error and
// take the embedding application with it.
//
// The term of a vote comes before its candidate. raft takes the two for a pair:
// after a crash in between, who was voted for in an earlier term would have this
// term's vote, and without a look at its log, which may lack what is acknowledged.
// So there is no candidate until there is the new one. No earlier vote is needed
// any more: the term itself was raised before.
func (s guardedStable) SetUint64(key []byte, value uint64) error {
	err := s.guard.write("write the term", func() error {
		if string(key) == keyVoteTerm {
			if err := s.store.Set([]byte(keyVoteFor), nil); err != nil {
				return err
			}
		}
		return s.store.SetUint64(key, value)
	})
	if err != nil && string(key) == keyTerm && s.running.Load() {
		runtime.Goexit()
	}
	return err
}

func (s guardedStable) GetUint64(key []byte) (value uint64, err error) {
	err = s.guard.read("read the term", func() (err error) { value, err = s.store.GetUint64(key); return err })
	return value, err
}
