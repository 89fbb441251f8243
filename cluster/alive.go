package cluster

import (
	"errors"
	"slices"

	"github.com/lockd-io/lockd/fsm"
)

// Who is alive is known to the leader: the nodes that pinged it within one
// heartbeat timeout. It tells them with each pong, so that every node can say
// it without asking.

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

// forgetAfter: patiences without a word after which a node's name is forgotten.
const forgetAfter = 1000

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
