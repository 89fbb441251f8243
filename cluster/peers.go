package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

// peers opens and accepts the streams to other nodes and decides whom this node
// speaks with. The handshake of transport proves that a peer has the cluster
// key and is of this cluster. What it cannot tell is a peer whose data directory
// was wiped, restored or copied, and that would vote a second time in a term:
//
//   - wiped or restored: its instance is not the one of the member list;
//   - copied, and started elsewhere: its address is not the member's (one that
//     has moved there has its operator's word: see moved.go);
//   - copied with its configuration: it says the right address, but another
//     process answers there.
//
// So on raft and forward streams the dialler first announces its address and
// the number of its process, and the acceptor compares and, once for each
// process, calls back. Whoever is refused so stops and says why.
type peers struct {
	peersOptions
	boot instance
	key  transport.Key

	mu      sync.Mutex              // guards the fields below; never held across I/O
	proved  map[string]announcement // by id: who answered at its own address
	movedTo map[string]move         // by id: who is not where the membership says
	said    map[string]string       // by id: the last refusal logged
	stopped bool                    // fail was called
}

type peersOptions struct {
	identity *identity
	address  string // that this node advertises
	key      []byte // the cluster key
	// member is what is known of a member: its address by raft's latest
	// configuration, its instance by the member list (zero if that has not been
	// applied yet). It must not block.
	member func(id string) (fsm.Member, bool)
	// placed is where a member is by raft's latest configuration. It is asked for
	// each message of raft's. nil: member knows all there is.
	placed func(id string) (place, bool)
	// moved is the operator's word that this node is gone from where it was.
	moved bool
	// cut closes raft's streams from and to a member, which has moved; may be nil.
	cut func(id string)
	// fail is told, once, that the cluster refuses this node for good. It must
	// not block.
	fail func(error)
	// logger hears of peers that are refused; nil is silent.
	logger *slog.Logger
}

func newPeers(o peersOptions) *peers {
	if o.logger == nil {
		o.logger = slog.New(slog.DiscardHandler)
	}
	return &peers{
		peersOptions: o, boot: instance(randomNonce()), key: transport.NewKey(o.key),
		proved: make(map[string]announcement), movedTo: make(map[string]move), said: make(map[string]string),
	}
}

// dial opens a stream to the node at address. A peer that is not who the member
// list says it is, or does not admit this one, is an error.
func (p *peers) dial(ctx context.Context, kind transport.Kind, address string) (*transport.Conn, error) {
	return p.dialAt(ctx, kind, place{address: address})
}

// dialAt is dial that takes nobody else than the member with the place's id, if
// that has one. All addresses of a name are tried at once, for one may be mute; the
// first at which the right one answers is taken.
func (p *peers) dialAt(ctx context.Context, kind transport.Kind, at place) (*transport.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, transport.HandshakeTimeout+examineTimeout)
	defer cancel() // who comes too late is closed
	addresses := resolved(ctx, at.address)
	if len(addresses) == 1 {
		return p.dialOne(ctx, kind, at, at.address)
	}
	type dialled struct {
		conn *transport.Conn
		err  error
	}
	results := make(chan dialled)
	for _, address := range addresses {
		go func() {
			c, err := p.dialOne(ctx, kind, at, address)
			select {
			case results <- dialled{c, err}:
			case <-ctx.Done():
				if c != nil {
					c.Close()
				}
			}
		}()
	}
	var last error
	for range addresses {
		select {
		case got := <-results:
			if got.err == nil {
				return got.conn, nil
			}
			last = got.err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return nil, last
}

// dialOne dials one address of a place.
func (p *peers) dialOne(ctx context.Context, kind transport.Kind, at place, address string) (*transport.Conn, error) {
	c, err := transport.Dial(ctx, address, kind, p.identity.transport(), p.key, func(peer transport.Identity) error {
		if at.id != "" && peer.ID != at.id {
			return fmt.Errorf("node %s answered at %s, where %s was looked for", peer.ID, at.address, at.id)
		}
		return p.want(kind, peer, at.address)
	})
	if err != nil || kind == transport.KindControl {
		return c, err
	}
	if err := p.announce(ctx, c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// accept makes a stream of a connection that came in. On an error it is closed,
// and the log knows why if it was refused.
func (p *peers) accept(ctx context.Context, nc net.Conn) (*transport.Conn, error) {
	c, err := transport.Accept(ctx, nc, p.identity.transport, p.key, p.admit)
	host, _, _ := net.SplitHostPort(nc.RemoteAddr().String()) // its port is new each time
	for _, kind := range []error{transport.ErrKey, transport.ErrHandshake} {
		if errors.Is(err, kind) {
			p.say(host, kind)
		}
	}
	if errors.Is(err, transport.ErrCluster) {
		if why := errors.Unwrap(err); p.news(host, why) {
			p.logger.Error("a node of another cluster takes this one for its own", "peer", host, "why", why)
		}
	}
	if err != nil || c.Kind == transport.KindControl {
		return c, err
	}
	if err := p.examine(ctx, c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// admit is the part of the decision that needs no more than the handshake.
// Control streams are for nodes of no cluster too.
func (p *peers) admit(kind transport.Kind, peer transport.Identity) error {
	if kind == transport.KindControl {
		return nil
	}
	switch me := p.identity.clusterID(); {
	case !me.known():
		return errors.New("it is not a member of a cluster yet")
	case me != clusterID(peer.Cluster):
		return fmt.Errorf("it is a member of cluster %s, you are of none", me)
	}
	return nil
}

// want is the dialler's decision about who answered.
func (p *peers) want(kind transport.Kind, peer transport.Identity, address string) error {
	if err := p.admit(kind, peer); err != nil || kind == transport.KindControl {
		return err
	}
	m, known := p.member(peer.ID)
	at, _ := p.whereabouts(peer.ID)
	switch {
	case known && at.address != "" && at.address != address:
		return fmt.Errorf("node %s answered at %s, but is a member at %s", peer.ID, address, at.address)
	case known && replaced(m, peer):
		return fmt.Errorf("node %s has another data directory than the member %s", peer.ID, peer.ID)
	}
	return nil
}

func replaced(m fsm.Member, peer transport.Identity) bool {
	return m.Instance != fsm.Nonce{} && m.Instance != peer.Instance
}

// introduction is the least that a request must say of its sender.
func (p *peers) introduction() report {
	s := p.identity.saved()
	return report{ref: s.ref, Boot: p.boot, Address: p.address, standing: p.standing(), Promised: s.Promised, Cluster: s.Cluster}
}

// ask sends one control request to the node at address.
func (p *peers) ask(ctx context.Context, address string, q request) (reply, error) {
	timeout := controlTimeout
	if q.Kind == requestAdd {
		timeout = addMemberTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := p.dial(ctx, transport.KindControl, address)
	if err != nil {
		return reply{}, err
	}
	return exchange(ctx, c, q)
}
