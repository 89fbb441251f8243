package cluster

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"
)

func TestPlace(t *testing.T) {
	for text, want := range map[string]place{
		"10.0.0.1:7600":             {address: "10.0.0.1:7600"}, // written before members could move
		"n1@10.0.0.1:7600":          {id: "n1", address: "10.0.0.1:7600"},
		"n-1.a_b+12@[::1]:7600":     {id: "n-1.a_b", move: 12, address: "[::1]:7600"},
		"n1+18446744073709551615@a": {id: "n1", move: 1<<64 - 1, address: "a"},
	} {
		got := placeOf(raft.ServerAddress(text))
		if got != want || string(got.raft()) != text {
			t.Errorf("%s: %+v, and back %s", text, got, got.raft())
		}
	}
	for _, text := range []string{"n1+0@a:1", "n1+x@a:1", "n1+@a:1", "n1+18446744073709551616@a:1"} {
		if got := placeOf(raft.ServerAddress(text)); got != (place{address: text}) {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

// n1 has a vote of a term and moves away; n2 moves to where n1 was, and asks for a
// vote of the same term. The library takes a candidate with the same address for
// the same candidate, so that two would lead in that term.
func TestVoteIsNotForAnAddress(t *testing.T) {
	cfg := testConfig()
	cfg.DataDir = t.TempDir()
	cfg = cfg.withDefaults()
	mustIdentity(t, cfg.DataDir, "n3")
	store, err := openStorage(cfg.DataDir, &cfg, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var servers []raft.Server
	for i := 1; i <= 3; i++ {
		at := place{id: fmt.Sprintf("n%d", i), address: fmt.Sprintf("127.0.0.1:%d", i)}
		servers = append(servers, raft.Server{ID: raft.ServerID(at.id), Address: at.raft()})
	}
	known := newRoster()
	voter := startPeer(t, t.TempDir(), "n3", clusterID{1}, known)
	carrier := newRaftTransport(voter.peers, &cfg)
	defer carrier.Close()
	conf := raftConfig(&cfg, nil)
	if err := raft.BootstrapCluster(conf, store.logs, store.stable, store.snaps, carrier, raft.Configuration{Servers: servers}); err != nil {
		t.Fatal(err)
	}
	r, err := store.startRaft(conf, &memberTable{}, carrier)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { r.Shutdown().Error() }()
	asks := startPeer(t, t.TempDir(), "n1", clusterID{1}, known)
	caller := newRaftTransport(asks.peers, &cfg)
	defer caller.Close()
	go func() {
		for c := range voter.streams {
			carrier.offer(c)
		}
	}()
	ask := func(id string) bool {
		t.Helper()
		q := &raft.RequestVoteRequest{Term: 1000, LastLogIndex: 9, LastLogTerm: 9, LeadershipTransfer: true, RPCHeader: raft.RPCHeader{
			ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: caller.EncodePeer(raft.ServerID(id), "127.0.0.1:7"),
		}}
		var answer raft.RequestVoteResponse
		if err := caller.RequestVote("n3", carrier.LocalAddr(), q, &answer); err != nil {
			t.Fatal(err)
		}
		return answer.Granted
	}
	if !ask("n1") || !ask("n1") {
		t.Fatal("n1 is not given the vote, or not told twice")
	}
	if ask("n2") {
		t.Fatal("one vote for two candidates that were at one address")
	}
}
