package cluster

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// openedStorage is a storage with its identity, both closed at the test's end.
type openedStorage struct {
	*storage
	me     *identity
	failed chan error
}

func (s *openedStorage) close(t *testing.T) {
	t.Helper()
	if err := errors.Join(s.Close(), s.me.Close()); err != nil {
		t.Fatal(err)
	}
}

func tryStorage(t *testing.T, dir string) (*openedStorage, error) {
	t.Helper()
	me, err := openIdentity(dir, "n1")
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig().withDefaults()
	failed := make(chan error, 1)
	s, err := openStorage(dir, &cfg, func(err error) { failed <- err })
	if err != nil {
		me.Close()
		return nil, err
	}
	t.Cleanup(func() { s.Close(); me.Close() })
	return &openedStorage{s, me, failed}, nil
}

func mustStorage(t *testing.T, dir string) *openedStorage {
	t.Helper()
	s, err := tryStorage(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func promiseSomebody(t *testing.T, me *identity) {
	t.Helper()
	next := me.saved()
	next.Promised = ref{"n0", instance{1, 2}}
	if err := me.save(next); err != nil {
		t.Fatal(err)
	}
}

func testLogs(first, last uint64) (logs []*raft.Log) {
	for i := first; i <= last; i++ {
		logs = append(logs, &raft.Log{Index: i, Term: 1, Type: raft.LogCommand, Data: []byte{byte(i)}})
	}
	return logs
}

func wantLogs(t *testing.T, logs raft.LogStore, first, last uint64) {
	t.Helper()
	gotFirst, err := logs.FirstIndex()
	if err != nil {
		t.Fatal(err)
	}
	gotLast, err := logs.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	if gotFirst != first || gotLast != last {
		t.Fatalf("log is %d..%d, want %d..%d", gotFirst, gotLast, first, last)
	}
}

func TestStorageKeeps(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := mustStorage(t, dir)
	promiseSomebody(t, s.me)
	if err := s.logs.StoreLogs(testLogs(1, 3)); err != nil {
		t.Fatal(err)
	}
	if err := s.logs.StoreLog(testLogs(4, 4)[0]); err != nil {
		t.Fatal(err)
	}
	if err := s.stable.SetUint64([]byte(keyTerm), 7); err != nil {
		t.Fatal(err)
	}
	if err := s.stable.Set([]byte("LastVoteCand"), []byte("n0")); err != nil {
		t.Fatal(err)
	}
	s.close(t)
	s = mustStorage(t, dir)
	wantLogs(t, s.logs, 1, 4)
	var entry raft.Log
	if err := s.logs.GetLog(3, &entry); err != nil || entry.Data[0] != 3 {
		t.Fatal(err, entry)
	}
	if err := s.logs.GetLog(5, &entry); !errors.Is(err, raft.ErrLogNotFound) {
		t.Fatal(err)
	}
	if term, err := s.stable.GetUint64([]byte(keyTerm)); err != nil || term != 7 {
		t.Fatal(term, err)
	}
	if vote, err := s.stable.Get([]byte("LastVoteCand")); err != nil || string(vote) != "n0" {
		t.Fatal(vote, err)
	}
	if _, err := s.stable.Get([]byte("nothing")); err == nil || err.Error() != "not found" {
		t.Fatal("raft knows this error by its text:", err)
	}
	if err := s.guard.err(); err != nil {
		t.Fatal("asking for what is not there is no failure:", err)
	}
	wantModes(t, dir)
}

func takeSnapshot(t *testing.T, s *openedStorage, index uint64) {
	t.Helper()
	takeSnapshotOf(t, s, index, 1)
}

func takeSnapshotOf(t *testing.T, s *openedStorage, index, term uint64) {
	t.Helper()
	_, trans := raft.NewInmemTransport("")
	sink, err := s.snaps.Create(1, index, term, raft.Configuration{}, 1, trans)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.(labelled).writeLabel(); err != nil {
		t.Fatal(err)
	}
	if _, err := sink.Write([]byte("state")); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStorageSnapshots(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := mustStorage(t, dir)
	for index := range uint64(4) {
		takeSnapshot(t, s, 10+index)
	}
	list, err := s.snaps.List()
	if err != nil || len(list) != snapshotsKept || list[0].Index != 13 {
		t.Fatal(list, err)
	}
	_, content, err := s.snaps.Open(list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := skipLabel(content); err != nil {
		t.Fatal(err)
	}
	if state, err := io.ReadAll(content); err != nil || string(state) != "state" {
		t.Fatal(state, err)
	}
	content.Close()

	// A node that dies while it takes a snapshot leaves a part of one.
	_, trans := raft.NewInmemTransport("")
	if _, err := s.snaps.Create(1, 14, 1, raft.Configuration{}, 1, trans); err != nil {
		t.Fatal(err)
	}
	wantModes(t, dir)
	s.close(t)
	mustStorage(t, dir)
	entries, err := os.ReadDir(filepath.Join(dir, snapshotDir))
	if err != nil || len(entries) != snapshotsKept {
		t.Fatal(entries, err)
	}
}

func TestStorageOfAnInterruptedCreation(t *testing.T) {
	dir := t.TempDir()
	mustIdentity(t, dir, "n1").Close() // it comes first
	if err := os.WriteFile(filepath.Join(dir, storeFile+temporaryFile), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustStorage(t, dir)
}

func TestStorageRefusesPartOfADirectory(t *testing.T) {
	t.Run("no identity", func(t *testing.T) {
		cfg := testConfig().withDefaults()
		if _, err := openStorage(t.TempDir(), &cfg, nil); !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	})
	t.Run("unbound without store", func(t *testing.T) {
		dir := t.TempDir()
		mustStorage(t, dir).close(t)
		if err := os.Remove(filepath.Join(dir, storeFile)); err != nil {
			t.Fatal(err)
		}
		mustStorage(t, dir) // nobody relies on it
	})
	for part, want := range map[string]string{storeFile: "partly wiped", logDir: "log is missing", snapshotDir: "snapshots is missing"} {
		t.Run("bound without "+part, func(t *testing.T) {
			dir := t.TempDir()
			s := mustStorage(t, dir)
			promiseSomebody(t, s.me)
			s.close(t)
			if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
				t.Fatal(err)
			}
			_, err := tryStorage(t, dir)
			wantError(t, err, want)
		})
	}
	for _, part := range []string{storeFile, logDir} {
		t.Run("another's "+part, func(t *testing.T) {
			dir, other := t.TempDir(), t.TempDir()
			mustStorage(t, dir).close(t)
			mustStorage(t, other).close(t)
			if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(other, part), filepath.Join(dir, part)); err != nil {
				t.Fatal(err)
			}
			_, err := tryStorage(t, dir)
			wantError(t, err, "another directory's")
		})
	}
	t.Run("damaged store", func(t *testing.T) {
		dir := t.TempDir()
		mustStorage(t, dir).close(t)
		path := filepath.Join(dir, storeFile)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, info.Size()), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = tryStorage(t, dir)
		wantError(t, err, storeFile)
	})
	t.Run("damaged page", func(t *testing.T) {
		dir := t.TempDir()
		s := mustStorage(t, dir)
		for i := range 300 {
			if err := s.stable.SetUint64([]byte{byte(i), byte(i >> 8)}, 1); err != nil {
				t.Fatal(err)
			}
		}
		s.close(t)
		damageFile(t, filepath.Join(dir, storeFile), 2*4096) // all but the two meta pages, which alone have checksums
		_, err := tryStorage(t, dir)
		wantError(t, err, "damaged")
	})
	t.Run("damaged log", func(t *testing.T) {
		dir := t.TempDir()
		s := mustStorage(t, dir)
		if err := s.logs.StoreLogs(testLogs(1, 3)); err != nil {
			t.Fatal(err)
		}
		s.close(t)
		segments, err := filepath.Glob(filepath.Join(dir, logDir, "*"))
		if err != nil || len(segments) != 1 {
			t.Fatal(segments, err)
		}
		damageFile(t, segments[0], 0)
		_, err = tryStorage(t, dir)
		wantError(t, err, "keep a copy")
	})
}

// damageFile overwrites a file from that byte on.
func damageFile(t *testing.T, path string, from int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := from; i < len(data); i++ {
		data[i] = 0xff
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The log goes on where the newest snapshot ends, whatever came in between.
func TestStorageFitsTheLogToItsSnapshot(t *testing.T) {
	for name, tc := range map[string]struct {
		first, last uint64 // of the log, all of term 1
		index, term uint64 // of the snapshot; 0 is none
		want        [2]uint64
		refused     string
	}{
		"no snapshot":                   {first: 1, last: 9, want: [2]uint64{1, 9}},
		"no snapshot, no beginning":     {first: 2, last: 9, refused: "a snapshot or a part of the log is missing"},
		"trailing entries":              {first: 3, last: 9, index: 5, term: 1, want: [2]uint64{3, 9}},
		"it ends with the snapshot":     {first: 3, last: 5, index: 5, term: 1, want: [2]uint64{3, 5}},
		"it begins after it":            {first: 6, last: 9, index: 5, term: 1, want: [2]uint64{6, 9}},
		"a gap":                         {first: 7, last: 9, index: 5, term: 1, refused: "the log begins with entry 7"},
		"installed far ahead":           {first: 1, last: 4, index: 90, term: 3},
		"installed over another's":      {first: 1, last: 9, index: 5, term: 2},
		"installed over another's, end": {first: 1, last: 5, index: 5, term: 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := mustStorage(t, dir)
			if err := s.logs.StoreLogs(testLogs(tc.first, tc.last)); err != nil {
				t.Fatal(err)
			}
			if tc.index > 0 {
				takeSnapshotOf(t, s, tc.index, tc.term)
			}
			s.close(t)
			s, err := tryStorage(t, dir)
			if tc.refused != "" {
				wantError(t, err, tc.refused)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantLogs(t, s.logs, tc.want[0], tc.want[1])
			if err := s.logs.StoreLogs(testLogs(max(tc.want[1], tc.index)+1, max(tc.want[1], tc.index)+2)); err != nil {
				t.Fatal("cannot go on:", err)
			}
		})
	}
}

// Without its log, a snapshot that is damaged is not replaced by the one before.
func TestStorageRefusesADamagedSnapshot(t *testing.T) {
	for name, logs := range map[string][]*raft.Log{"no log": nil, "another's log": testLogs(1, 9), "an old log": testLogs(1, 3)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := mustStorage(t, dir)
			if err := s.logs.StoreLogs(logs); err != nil {
				t.Fatal(err)
			}
			takeSnapshotOf(t, s, 2, 1)
			takeSnapshotOf(t, s, 5, 7)
			list, err := s.snaps.List()
			if err != nil || len(list) != 2 || list[0].Index != 5 {
				t.Fatal(list, err)
			}
			s.close(t)
			damageFile(t, filepath.Join(dir, snapshotDir, list[0].ID, "state.bin"), 0)
			_, err = tryStorage(t, dir)
			wantError(t, err, "snapshot "+list[0].ID)
		})
	}
}

// The entries between the snapshot before and a log that begins later are nowhere.
func TestStorageRefusesADamagedSnapshotBeforeAGap(t *testing.T) {
	for first, refused := range map[uint64]bool{3: false, 4: true} {
		dir := t.TempDir()
		s := mustStorage(t, dir)
		if err := s.logs.StoreLogs(testLogs(first, 9)); err != nil {
			t.Fatal(err)
		}
		takeSnapshotOf(t, s, 2, 1)
		takeSnapshotOf(t, s, 5, 1)
		list, err := s.snaps.List()
		if err != nil {
			t.Fatal(err)
		}
		s.close(t)
		damageFile(t, filepath.Join(dir, snapshotDir, list[0].ID, contentFile), 0)
		if _, err = tryStorage(t, dir); (err != nil) != refused {
			t.Errorf("the log begins with %d: %v", first, err)
		}
	}
}

// Nor is one whose meta.json does not read, or makes it look older than the one
// before.
func TestStorageRefusesASnapshotThatIsNotListed(t *testing.T) {
	for name, damage := range map[string]func(data []byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"another order": func(data []byte) []byte { return bytes.Replace(data, []byte(`"Term":7`), []byte(`"Term":0`), 1) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := mustStorage(t, dir)
			takeSnapshotOf(t, s, 2, 1)
			takeSnapshotOf(t, s, 5, 7)
			list, err := s.snaps.List()
			if err != nil || len(list) != 2 || list[0].Index != 5 {
				t.Fatal(list, err)
			}
			s.close(t)
			path := filepath.Join(dir, snapshotDir, list[0].ID, "meta.json")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := damage(data)
			if bytes.Equal(changed, data) {
				t.Fatalf("nothing to damage in %s", data)
			}
			if err := os.WriteFile(path, changed, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = tryStorage(t, dir)
			wantError(t, err, "snapshot "+list[0].ID)
		})
	}
}

// A founder that died between the two writes of its bootstrap can bootstrap.
func TestStorageFinishesABootstrap(t *testing.T) {
	dir := t.TempDir()
	s := mustStorage(t, dir)
	next := s.me.saved()
	next.Cluster, next.Promised, next.Owed = clusterID{1}, next.ref, []promiser{{next.ref, "127.0.0.1:1"}}
	if err := s.me.save(next); err != nil {
		t.Fatal(err)
	}
	if err := s.stable.SetUint64([]byte(keyTerm), 1); err != nil {
		t.Fatal(err)
	}
	s.close(t)

	s = mustStorage(t, dir)
	cfg := testConfig().withDefaults()
	_, trans := raft.NewInmemTransport("127.0.0.1:1")
	configuration := raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "127.0.0.1:1"}}}
	bootstrap := func() error {
		return raft.BootstrapCluster(raftConfig(&cfg, nil), s.logs, s.stable, s.snaps, trans, configuration)
	}
	if err := bootstrap(); err != nil {
		t.Fatal(err)
	}
	if err := bootstrap(); !errors.Is(err, raft.ErrCantBootstrap) {
		t.Fatal(err)
	}
	s.close(t)
	s = mustStorage(t, dir)
	wantLogs(t, s.logs, 1, 1)
	if term, err := s.stable.GetUint64([]byte(keyTerm)); err != nil || term != 1 {
		t.Fatal(term, err)
	}
}

// fakeStore is a log that records, and fails or hangs on demand.
type fakeStore struct {
	raft.InmemStore
	deleted [][2]uint64
	err     error
	panics  bool
	hang    chan struct{}
}

func newFakeStore() *fakeStore { return &fakeStore{InmemStore: *raft.NewInmemStore()} }

func (f *fakeStore) trouble() error {
	if f.hang != nil {
		<-f.hang
	}
	if f.panics {
		panic("assertion failed: page is not a leaf")
	}
	return f.err
}

func (f *fakeStore) StoreLogs(logs []*raft.Log) error {
	return errors.Join(f.trouble(), f.InmemStore.StoreLogs(logs))
}

func (f *fakeStore) GetLog(index uint64, log *raft.Log) error {
	if err := f.trouble(); err != nil {
		return err
	}
	return f.InmemStore.GetLog(index, log)
}

func (f *fakeStore) SetUint64(key []byte, value uint64) error {
	if err := f.trouble(); err != nil {
		return err
	}
	return f.InmemStore.SetUint64(key, value)
}

func (f *fakeStore) DeleteRange(low, high uint64) error {
	f.deleted = append(f.deleted, [2]uint64{low, high})
	return errors.Join(f.trouble(), f.InmemStore.DeleteRange(low, high))
}

// guarded puts a store behind a guard that tells its failures.
func guarded(store *fakeStore, patience time.Duration) (guardedLogs, chan error) {
	failures := make(chan error, 9)
	return guardedLogs{store, &guard{patience: patience, fail: func(err error) { failures <- err }}}, failures
}

func TestStoreLatchesAtTheFirstFailure(t *testing.T) {
	for name, fail := range map[string]func(*fakeStore){
		"error": func(s *fakeStore) { s.err = io.ErrShortWrite },
		"panic": func(s *fakeStore) { s.panics = true },
	} {
		for _, what := range []string{"append", "delete", "read"} {
			t.Run(name+" of "+what, func(t *testing.T) {
				store := newFakeStore()
				logs, failures := guarded(store, time.Hour)
				if err := logs.StoreLogs(testLogs(1, 9)); err != nil {
					t.Fatal(err)
				}
				fail(store)
				var err error
				switch what {
				case "append":
					err = logs.StoreLog(testLogs(10, 10)[0])
				case "delete":
					err = logs.DeleteRange(1, 3)
				case "read":
					err = logs.GetLog(1, new(raft.Log))
				}
				if !errors.Is(err, ErrStorage) || len(failures) != 1 {
					t.Fatal(err, len(failures))
				}
				store.err, store.panics = nil, false // the kernel says that all is fine again
				if err := logs.StoreLog(testLogs(10, 10)[0]); !errors.Is(err, ErrStorage) {
					t.Fatal("went on:", err)
				}
				if _, err := logs.FirstIndex(); !errors.Is(err, ErrStorage) {
					t.Fatal("went on:", err)
				}
				if _, err := logs.LastIndex(); !errors.Is(err, ErrStorage) {
					t.Fatal("went on:", err)
				}
				if err := logs.DeleteRange(1, 2); !errors.Is(err, ErrStorage) {
					t.Fatal("went on:", err)
				}
				if len(failures) != 1 {
					t.Fatal("told more than once:", len(failures))
				}
			})
		}
	}
}

// A write that hangs is noticed while it hangs; one that is merely slow is not.
func TestStoreLatchesWhileAWriteHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		store.hang = make(chan struct{})
		logs, failures := guarded(store, 3*time.Second)
		done := make(chan error, 1)
		go func() { done <- logs.StoreLogs(testLogs(1, 1)) }()
		time.Sleep(3*time.Second - time.Nanosecond)
		synctest.Wait()
		if len(failures) != 0 {
			t.Fatal(len(failures), "failures")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if len(failures) != 1 || !errors.Is(<-failures, ErrStorage) || !logs.guard.hangs() {
			t.Fatal(len(failures), "failures")
		}
		close(store.hang)
		if err := <-done; !errors.Is(err, ErrStorage) {
			t.Fatal("acknowledged after it was given up:", err)
		}
		if logs.guard.hangs() {
			t.Fatal("hangs still")
		}
	})
}

// Close does not wait for a write that hangs.
func TestStorageClosesWhileAWriteHangs(t *testing.T) {
	s := mustStorage(t, t.TempDir())
	entered, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.guard.write("test", func() error { close(entered); <-leave; return nil })
	}()
	<-entered
	s.guard.latch(errors.New("hangs"))
	if err := s.Close(); !errors.Is(err, ErrStorage) {
		t.Fatal(err)
	}
	close(leave)
	<-done
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

type noMachine struct{}

func (noMachine) Apply(*raft.Log) any                  { return nil }
func (noMachine) Snapshot() (raft.FSMSnapshot, error)  { return nil, errors.New("no snapshot") }
func (noMachine) Restore(snapshot io.ReadCloser) error { return snapshot.Close() }

// raft panics when it cannot write its term. The application that embeds it
// must live on, and raft must still shut down.
func TestRaftSurvivesAFailingStore(t *testing.T) {
	s := mustStorage(t, t.TempDir())
	store := newFakeStore()
	s.stable = guardedStable{store, s.guard, &s.running}
	s.logs = guardedLogs{store, s.guard}
	cfg := testConfig().withDefaults()
	cfg.HeartbeatTimeout = heartbeatTimeoutMin
	trans, _ := carriers(t)
	conf := raftConfig(&cfg, nil)
	if err := raft.BootstrapCluster(conf, s.logs, s.stable, s.snaps, trans,
		raft.Configuration{Servers: []raft.Server{{ID: conf.LocalID, Address: trans.LocalAddr()}}}); err != nil {
		t.Fatal(err)
	}

	store.err = io.ErrShortWrite
	if _, err := s.startRaft(conf, noMachine{}, trans); err == nil {
		t.Fatal("started on a store that fails")
	}
	<-s.failed
	s.guard.failed, store.err = nil, nil

	ended := make(chan struct{})
	s.stable = armedStable{s.stable, &s.running, func() { store.err = io.ErrShortWrite }, ended}
	r, err := s.startRaft(conf, noMachine{}, trans)
	if err != nil {
		t.Fatal(err)
	}
	<-ended // the first election wrote its term
	if err := <-s.failed; !errors.Is(err, ErrStorage) {
		t.Fatal(err)
	}
	if err := r.Shutdown().Error(); err != nil {
		t.Fatal(err)
	}
}

// armedStable breaks the store at the first term that raft writes once it runs.
type armedStable struct {
	raft.StableStore
	running *atomic.Bool
	fail    func()
	ended   chan struct{}
}

func (s armedStable) SetUint64(key []byte, value uint64) error {
	if !s.running.Load() {
		return s.StableStore.SetUint64(key, value)
	}
	s.fail()
	defer close(s.ended)
	return s.StableStore.SetUint64(key, value)
}
