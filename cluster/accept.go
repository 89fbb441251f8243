package cluster

import (
	"net"

	"github.com/lockd-io/lockd/transport"
)

// accept takes what other nodes begin.
func (n *Node) accept() {
	for {
		conn, err := n.listener.Accept()
		if err != nil {
			return // closed
		}
		n.parts.Go(func() { n.receive(conn) })
	}
}

func (n *Node) receive(raw net.Conn) {
	conn, err := n.peers.accept(n.ctx, raw)
	if err != nil {
		return // said by peers
	}
	if n.stage.barred != nil && n.stage.barred(conn.Kind, conn.Peer.ID) {
		conn.Close()
		return
	}
	switch conn.Kind {
	case transport.KindRaft:
		n.carrier.offer(conn)
	case transport.KindControl:
		n.former.serve(n.ctx, conn)
	case transport.KindForward:
		if err := n.server.serve(conn); err != nil && n.ctx.Err() == nil {
			n.cfg.Logger.Debug("forward stream ended", "peer", conn.Peer.ID, "error", err)
		}
	default:
		conn.Close()
	}
}
