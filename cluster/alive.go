package cluster

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// Who is alive, and how far it is, is known to the leader: the nodes that pinged it
// within one heartbeat timeout. It tells them who is with each pong, so that every
// node can say it without asking.

// forgetAfter: patiences without a word after which a node's name is forgotten.
const forgetAfter = 1000

// A sign of life of another node.
type sign struct {
	at      time.Duration
	applied fsm.Index
}

// hear notes a sign of life, and how far the node is if that says so.
func (f *forwardServer) hear(id string, applied fsm.Index) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard[id] = sign{f.now(), max(applied, f.heard[id].applied)}
}

// applied tells how far the nodes are that this one heard from lately, by id.
func (f *forwardServer) applied() map[string]fsm.Index {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, all := f.now(), make(map[string]fsm.Index)
	for id, s := range f.heard {
		if now-s.at <= f.patience {
			all[id] = s.applied
		}
	}
	return all
}

// lively lists the nodes that this one heard from lately, by id.
func (f *forwardServer) lively() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	var ids []string
	for id, s := range f.heard {
		if now-s.at <= f.patience {
			ids = append(ids, id)
		} else if now-s.at > forgetAfter*f.patience {
			delete(f.heard, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// appendApplied encodes the body of a ping: how far this node is.
func appendApplied(dst []byte, at fsm.Index) []byte { return binary.AppendUvarint(dst, uint64(at)) }

// decodeApplied reads it.
func decodeApplied(body []byte) (fsm.Index, error) {
	at, n := binary.Uvarint(body)
	if n <= 0 || n != len(body) {
		return 0, errors.New("a ping does not decode")
	}
	return fsm.Index(at), nil
}

// appendAlive encodes ids as the body of a pong.
func appendAlive(dst []byte, ids []string) []byte {
	for _, id := range ids {
		dst = append(dst, byte(len(id))) // at most fsm.MemberSizeMax
		dst = append(dst, id...)
	}
	return dst
}

// decodeAlive reads the body of a pong.
func decodeAlive(body []byte) ([]string, error) {
	var ids []string
	for len(body) > 0 {
		n := int(body[0])
		if n == 0 || n > len(body)-1 || len(ids) >= fsm.MembersMax {
			return nil, errors.New("a pong does not decode")
		}
		ids = append(ids, string(body[1:1+n]))
		body = body[1+n:]
	}
	return ids, nil
}
