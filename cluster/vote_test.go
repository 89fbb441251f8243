package cluster

import (
	"testing"

	"github.com/hashicorp/raft"
)

// A node votes for n2 in term 1, and loses its power between the two writes of its
// vote for n3 in term 2. n2 lacks what was acknowledged since; that it once had a
// vote must not give it another.
func TestVoteIsNotAnEarlierTerms(t *testing.T) {
	dir := t.TempDir()
	s := mustStorage(t, dir)
	cfg := testConfig().withDefaults()
	conf := raftConfig(&cfg, nil)
	_, own := raft.NewInmemTransport("n1")
	candidate, of2 := raft.NewInmemTransport("n2")
	configuration := raft.Configuration{Servers: []raft.Server{
		{ID: "n1", Address: "n1"}, {ID: "n2", Address: "n2"}, {ID: "n3", Address: "n3"},
	}}
	if err := raft.BootstrapCluster(conf, s.logs, s.stable, s.snaps, own, configuration); err != nil {
		t.Fatal(err)
	}
	entries := testLogs(2, 5)
	if err := s.logs.StoreLogs(entries); err != nil {
		t.Fatal(err)
	}
	for _, write := range []func() error{
		func() error { return s.stable.SetUint64([]byte(keyVoteTerm), 1) },
		func() error { return s.stable.Set([]byte(keyVoteFor), []byte(candidate)) },
		func() error { return s.stable.SetUint64([]byte(keyTerm), 2) },
		func() error { return s.stable.SetUint64([]byte(keyVoteTerm), 2) },
	} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	s.close(t)

	s = mustStorage(t, dir)
	r, err := raft.NewRaft(conf, noMachine{}, s.logs, s.stable, s.snaps, own)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Shutdown().Error(); err != nil {
			t.Error(err)
		}
	}()
	of2.Connect("n1", own)
	ask := func(lastIndex uint64) bool {
		t.Helper()
		request := raft.RequestVoteRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("n2"), Addr: []byte(candidate)},
			Term:      2, LastLogIndex: lastIndex, LastLogTerm: 1,
		}
		var response raft.RequestVoteResponse
		if err := of2.RequestVote("n1", "n1", &request, &response); err != nil {
			t.Fatal(err)
		}
		if response.Term != 2 {
			t.Fatal("the node is in term", response.Term)
		}
		return response.Granted
	}
	if ask(3) {
		t.Fatal("voted for a node that lacks entries 4 and 5")
	}
	if !ask(5) {
		t.Fatal("did not vote, though it has no vote in this term")
	}
	if vote, err := s.stable.Get([]byte(keyVoteFor)); err != nil || string(vote) != string(candidate) {
		t.Fatalf("voted for %q: %v", vote, err)
	}
}
