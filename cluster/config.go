package cluster

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

// Config says who a node is, where its data lies and whom it knows. Fields
// marked as required have no default; every other zero value works. Open
// reports all that is wrong with a Config in one error.
type Config struct {
	// ID names the node in its cluster for as long as its data directory
	// lives: 1..255 letters, digits, '.', '_' or '-'. Required. A directory
	// that was first opened under another id is refused.
	ID string

	// DataDir holds the log, the snapshots and the identity, and nothing of others:
	// one that is neither empty nor a node's is refused. It is created, readable by
	// its owner only, and locked: two processes cannot share it. Required.
	DataDir string

	// Listen is the HOST:PORT to listen on. Required unless Port is given.
	// Port 0 takes a free one, which must be the same at the next start only
	// if Advertise names it. Gossip listens on the port above, in TCP and UDP,
	// and is advertised there: see NoGossip.
	Listen string

	// Advertise is the HOST:PORT under which the other nodes reach this one.
	// "" is the address that is listened on, which then must not be
	// unspecified (as 0.0.0.0 is).
	Advertise string

	// Join are HOST:PORTs of other nodes, their own or those of their gossip, to
	// find the cluster that this node is to be a member of, or the empty nodes to
	// form one with. One that answers is enough; the node's own address among them
	// does no harm. Once the node is a member, only gossip still looks at them.
	Join []string

	// Moved is the operator's word that whatever ran at the address that the cluster
	// has for this node is gone for good: the node is at another address now
	// (Advertise), proves who it is, and has that committed. Without it a member with
	// another address is refused, for it may be a copy of a data directory. A false
	// word can make two leaders of one term. It has no effect on a node that is where
	// the cluster has it. A name of DNS in Advertise, which may come to point
	// elsewhere, needs no word.
	Moved bool

	// NoGossip keeps the node from telling others its address, and from hearing
	// theirs, by gossip. It then knows the addresses of Join, those that the nodes
	// there tell of, and those of the members. Gossip is a hint: it makes nobody a
	// member.
	NoGossip bool

	// BootstrapExpect is how many empty nodes form a new cluster together, the
	// same number on each of them. 0 never forms one: the node waits to be
	// added to a cluster that exists. It must be more than half of the nodes that
	// could form one, or there would be two: 1 with Join of others founds only once
	// they have answered, and none of them is in a cluster or could found one. Not
	// looked at once the node is a member.
	BootstrapExpect int

	// BootstrapAlone is the operator's word that those in Join who do not answer are
	// no founders of this cluster either: with BootstrapExpect 1 the node founds
	// without them. One that answers still keeps it from it.
	BootstrapAlone bool

	// ClusterKey is the secret that all nodes of the cluster share, and prove
	// to each other on every connection: at least 16 random bytes. Required
	// unless the node listens on loopback and advertises it.
	ClusterKey []byte

	// Port is where connections of other nodes come in. nil: the node opens
	// its own on Listen and closes it with itself. A Port that is given
	// belongs to the caller; it must stay open as long as the node.
	Port *transport.Port

	// Logger hears of transitions, not of activity. nil is silent.
	Logger *slog.Logger

	// HeartbeatTimeout is how long a follower hears nothing before it stands
	// for election, how long an election may take, and how long a leader that
	// hears from no majority goes on: raft's three timeouts are one.
	// 0 is 700 ms; 20 ms to 1 min. It must be the same on all nodes.
	HeartbeatTimeout time.Duration

	// SnapshotBytes is how many bytes of log are applied between snapshots.
	// 0 is 64 MiB.
	SnapshotBytes int64

	// SnapshotInterval takes a snapshot at least this often while anything is
	// applied. 0 goes by bytes only; else at least 100 ms.
	SnapshotInterval time.Duration

	// TrailingLogs is how many entries are kept behind a snapshot, so that a
	// follower that was away for a moment does not need the snapshot.
	// 0 is 1,024; at most 65,536.
	TrailingLogs uint64

	// Journal is told of each state that this node comes to, by an entry or by a
	// snapshot: its index, and the hash of all outcomes up to there. At one index
	// it is the same on all nodes and in all their lives, or they have diverged.
	// It is called in order, holds up the next entry, and must not call the node.
	Journal func(fsm.Check)
}

// Defaults and bounds of Config.
const (
	// heartbeatTimeoutDefault makes a fail-over take at most 2.5 s even after
	// one split vote.
	heartbeatTimeoutDefault = 700 * time.Millisecond
	// heartbeatTimeoutMin is for tests on loopback: below it the scheduler of
	// a busy machine deposes leaders.
	heartbeatTimeoutMin = 20 * time.Millisecond
	// heartbeatTimeoutMax: whoever wants to wait longer for a fail-over than
	// this has mistaken the unit.
	heartbeatTimeoutMax = time.Minute
	// snapshotBytesDefault bounds what a restart replays, and the log's file.
	snapshotBytesDefault = 64 << 20
	// snapshotIntervalMin keeps a mistaken unit from taking snapshots without end.
	snapshotIntervalMin = 100 * time.Millisecond
	// trailingLogsDefault entries are at most 256 MiB and normally much less.
	trailingLogsDefault = 1024
	// trailingLogsMax: beyond it the log store grows by gigabytes.
	trailingLogsMax = 1 << 16
	// clusterKeySizeMin is the security of HMAC-SHA256 halved, as usual.
	clusterKeySizeMin = 16
	// bootstrapExpectMax is the largest cluster worth forming: every write
	// waits for a majority of it.
	bootstrapExpectMax = 9
)

// A ConfigError lists all that is wrong with a Config.
type ConfigError struct{ Fields []FieldError }

// A FieldError is what is wrong with a field of Config.
type FieldError struct {
	Field   string // its name
	Value   string // as a person reads it; "" if the problem says enough
	Problem string
}

// Error implements error.
func (e FieldError) Error() string {
	return strings.TrimSuffix(e.Field+" "+e.Value, " ") + ": " + e.Problem
}

// Error implements error.
func (e *ConfigError) Error() string {
	wrong := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		wrong[i] = f.Error()
	}
	return "cluster: bad configuration: " + strings.Join(wrong, "\n")
}

// validate reports all that is wrong with c in a *ConfigError, or nil.
func (c *Config) validate() error {
	var wrong []FieldError
	say := func(field, value, format string, args ...any) {
		wrong = append(wrong, FieldError{field, value, fmt.Sprintf(format, args...)})
	}

	if err := validID(c.ID); err != nil {
		say("ID", "", "%v", err)
	}
	if c.DataDir == "" {
		say("DataDir", "", "required")
	}
	if c.Port == nil && c.Listen == "" {
		say("Listen", "", "required without a Port")
	}
	if c.Listen != "" {
		if err := validAddress(c.Listen, listenable); err != nil {
			say("Listen", strconv.Quote(c.Listen), "%v", err)
		}
	}
	if c.Advertise != "" {
		if err := validAddress(c.Advertise, dialable); err != nil {
			say("Advertise", strconv.Quote(c.Advertise), "%v", err)
		}
	} else if bound := c.bound(); bound != "" && unspecified(bound) {
		say("Advertise", "", "required when listening on all addresses (%s)", bound)
	}
	for _, address := range c.Join {
		if err := validAddress(address, dialable); err != nil {
			say("Join", strconv.Quote(address), "%v", err)
		}
	}
	if c.BootstrapExpect < 0 || c.BootstrapExpect > bootstrapExpectMax {
		say("BootstrapExpect", fmt.Sprint(c.BootstrapExpect), "not in 0..%d", bootstrapExpectMax)
	}
	if c.BootstrapAlone && c.BootstrapExpect != 1 {
		say("BootstrapAlone", "", "only with BootstrapExpect 1, which founds a cluster of one node")
	}
	switch {
	case len(c.ClusterKey) == 0 && !c.onLoopback():
		say("ClusterKey", "", "required off loopback")
	case len(c.ClusterKey) > 0 && len(c.ClusterKey) < clusterKeySizeMin:
		say("ClusterKey", "", "%d bytes, at least %d are needed", len(c.ClusterKey), clusterKeySizeMin)
	}
	if d := c.HeartbeatTimeout; d != 0 && (d < heartbeatTimeoutMin || d > heartbeatTimeoutMax) {
		say("HeartbeatTimeout", d.String(), "not in %v..%v", heartbeatTimeoutMin, heartbeatTimeoutMax)
	}
	if c.SnapshotBytes < 0 {
		say("SnapshotBytes", fmt.Sprint(c.SnapshotBytes), "negative")
	}
	if d := c.SnapshotInterval; d != 0 && d < snapshotIntervalMin {
		say("SnapshotInterval", d.String(), "less than %v", snapshotIntervalMin)
	}
	if c.TrailingLogs > trailingLogsMax {
		say("TrailingLogs", fmt.Sprint(c.TrailingLogs), "more than %d", trailingLogsMax)
	}
	if len(wrong) == 0 {
		return nil
	}
	return &ConfigError{wrong}
}

// withDefaults is c with every zero that has a default replaced by it.
func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.HeartbeatTimeout == 0 {
		c.HeartbeatTimeout = heartbeatTimeoutDefault
	}
	if c.SnapshotBytes == 0 {
		c.SnapshotBytes = snapshotBytesDefault
	}
	if c.TrailingLogs == 0 {
		c.TrailingLogs = trailingLogsDefault
	}
	if c.Journal == nil {
		c.Journal = func(fsm.Check) {}
	}
	return c
}

// bound is the address that is or will be listened on; "" if Listen is missing.
func (c *Config) bound() string {
	if c.Port != nil {
		return c.Port.Addr().String()
	}
	return c.Listen
}

// advertised is the address that other nodes are told, given the one that the
// port is bound to.
func (c *Config) advertised(bound net.Addr) string {
	if c.Advertise != "" {
		return c.Advertise
	}
	return bound.String()
}

// onLoopback tells whether nobody outside this machine can reach the node:
// only then may the cluster key be empty.
func (c *Config) onLoopback() bool {
	for _, address := range []string{c.bound(), c.Advertise} {
		if address == "" {
			continue
		}
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			continue // reported as a bad address
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}
