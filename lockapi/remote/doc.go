// Package remote is the backend of a lockd cluster somewhere else: it carries
// commands to a node by gRPC, and brings their outcomes back.
//
//	import _ "github.com/lockd-io/lockd/lockapi/remote"
//
//	client, err := lockapi.Open(ctx, "lockd://10.0.0.1:7600,10.0.0.2:7600", lockapi.Options{})
//
// or, as a Backend, remote.Open([]string{"10.0.0.1:7600"}, remote.Options{}).
// Any node of the cluster will do as an endpoint; the others are learnt from
// it. In a URL, ?spread=1 asks for any node instead of the leader.
//
// # One link
//
// A Backend has one stream, to one node: the leader, or, with Spread, any. All
// goroutines and all sessions of the process share it, up to 32,768 sessions, which is
// what a node lets one stream speak for; then there is a further stream for the next
// ones. Whoever calls Do appends
// his command to what is to be sent; one goroutine sends what has gathered as
// one frame, and one reads answers and wakes the callers. There is no goroutine
// and no timer per call.
//
// # When the link fails
//
// A link that breaks, or is silent for a second while something waits for an
// answer (after two seconds without a word, sessions that hold or wait have the node
// asked for a sign of life), or whose node has known of no leader for four, or on which a command is stuck that a caller doubts (a second Do of it:
// later ones are answered, or nothing is heard), is replaced: all endpoints are tried, a few milliseconds apart, and the
// node that leads is preferred. Over the new link the sessions that are in use
// are attached again, and then every unanswered command is sent again as it
// was, which is always safe. A caller notices a delay, and an error only when
// his own context ends: ErrUnknown if the command was ever sent, ErrUnavailable
// if not.
//
// A node that says who leads is believed: if that is another one, a link to it
// is made while the present one goes on, and then takes over.
//
// # What it never does
//
// It never gives up by itself, never invents an answer (the machine alone says
// that a session is gone), never speaks for a session whose secret it was not
// given, and never follows a node of another cluster.
package remote
