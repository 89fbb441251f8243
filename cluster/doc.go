// Package cluster is the lock machine, replicated: a [Node] is one member of a
// cluster, in this process, and implements lockapi.Backend.
//
//	node, err := cluster.Open(cluster.Config{
//		ID: "a", DataDir: "/var/lib/app/locks", Listen: "10.0.0.1:7600",
//		Join: []string{"10.0.0.2:7600", "10.0.0.3:7600"}, BootstrapExpect: 3, ClusterKey: key,
//	})
//	...
//	defer node.Close()
//	client, err := lockapi.New(node, lockapi.Options{})
//
// # Words
//
// A *pending* is a command that a node took and has not answered. The *route* is
// where pendings are sent at the moment: into this node's own inbox while it
// leads, else on a *stream* to the leader. A *reign* is one term of leadership:
// its *inbox*, its clock and the one goroutine that proposes. An *office* is who
// leads, as one node sees it.
//
// # Life of a command
//
// One column is one goroutine. The client is attached to a follower; where it is
// attached to the leader, the inbox takes the place of the two streams.
//
//	follower                                     leader                                          followers
//	caller     stream.write   stream.read        serve        reign         raft, its disk        raft   machine
//	  |             |              |               |            |               |                   |       |
//	Submit          |              |               |            |               |                   |       |
//	  | pendings    |              |               |            |               |                   |       |
//	  |----put----->|              |               |            |               |                   |       |
//	  |             | all that     |               |            |               |                   |       |
//	  |             | waits: one   |               |            |               |                   |       |
//	  |             | frame -------------------->  |            |               |                   |       |
//	  |             |              |        decode |            |               |                   |       |
//	  |             |              |         check |            |               |                   |       |
//	  |             |              |               |---inbox--->| all that      |                   |       |
//	  |             |              |               |            | waits: one    |                   |       |
//	  |             |              |               |            | entry         |                   |       |
//	  |             |              |               |            | stamp, last   |                   |       |
//	  |             |              |               |            |---Apply------>| store             |       |
//	  |             |              |               |            |  (one at      |----append-------->| store |
//	  |             |              |               |            |   a time)     |<------------------|       |
//	  |             |              |               |            |               | committed         |       |
//	  |             |              |               |            |  machine.Apply|                   |       |
//	  |             |              |               |            |  answers the  |                   |       |
//	  |             |              |               |            |  leader's own |                   |       |
//	  |             |              |               |            |  callers      |                   |       |
//	  |             |              |               |            |<---outcomes---|                   |       |
//	  |             |              |<---------- one frame ------| spread        |                   |       |
//	  |<---answer (1)--------------|               |            |               |                   |       |
//	  |             |              |               |            | next entry    |                   |       |
//	  |             |              |               |            |-------------->|----append-------->|       |
//	  |             |              |               |            |               |  (says that the   |-----> |
//	  |             |              |               |            |               |   one before is   | Apply |
//	  |<---answer (2), compared with (1) if that was first <----------------------- committed) <----------- |
//
// A follower learns that an entry is committed with the next append, which an
// idle leader sends after 50 to 100 ms. So the leader returns outcomes, and the
// first answer counts. The two must be equal; a difference stops the node.
//
// Nobody waits for a timer: each hop packs what came while the message before was
// under way. Renewals alone wait at the leader, for a twentieth of their TTL at
// most, and leave with any entry that leaves earlier.
//
// # What is never said
//
// An answer is what the machine said of a committed entry. There is no other
// source of it: a leader that was deposed and does not know it has nothing to
// say OK with, because what it proposes is committed by nobody. A command that
// was sent is unknown until it is answered; it is sent again on a new route, when
// the leader refuses, after a second without progress, and after a snapshot was
// installed in place of its entry, unless the snapshot has the answer. (It is not
// asked about acquires, whose answer says when the session was last renewed.) The
// machine recognizes repeats.
//
// A founder votes alone at first. Until a majority of the nodes that it founds the
// cluster with votes too, it takes no client's command: what it acknowledged would
// be on one disk.
//
// A node whose state cannot be trusted latches ([Node.Err]): an entry that does
// not decode, a chain of outcomes that differs from the proposer's, a log that
// cannot be written. It closes its streams, applies and answers nothing more,
// and Done is closed.
//
// # Time
//
// Machine time is counted by the leader and stamped into entries; clock.go has
// the rules, and the numbers (T2 to T5) by which others cite them. A reign begins
// with a takeover, a committed command whose outcome gives the term of its own
// entry and the machine's time at it. Every entry bears that term, and one that is
// committed in another moves no time.
//
// # Reading the package
//
//	node.go, stop.go   the parts, their order    accept.go               what others begin
//	do.go              in: Do, Submit            inspect.go              reads
//	pending.go         what waits for an answer  resend.go               until it has one
//	answer.go          the three ways to get it  subscribe.go            what befalls sessions
//	link.go            to the leader             stream.go               how two nodes talk
//	forward_server.go  at the leader             inbox.go, reign.go      what proposes
//	spread.go          outcomes to their nodes   machine.go              fsm behind raft
//	leadership.go      who leads                 clock.go                machine time
//	status.go          the cluster, seen here    ready.go                whether this node serves
//	alive.go           who is, how far           member.go               raft's members
//	formation.go       how a cluster begins      peers.go                whom a node speaks with
//	contest.go         and never two of one      moved.go, place.go      where members are
//	lookout.go         who else is out there     resolve.go              the addresses of a name
//	gossip.go          who says where it is      gossip_filter.go        what of it is refused
//	storage.go         what is on disk           identity.go             what a node never forgets
//	transfer.go        who leads next            metrics.go              what is counted
//	errors.go          raft's errors, understood once
//
// # What it does not do
//
// It does not encrypt (see package transport), it does not check that a caller
// may speak for a session other than by Attach, and it does not hand over the
// leadership on Close: that is Stop.
package cluster
