package cluster

import (
	"errors"
	"fmt"
)

// metaVersion is the layout of what a node says of itself in gossip:
//
//	version u8, length of the id u8, id, service address
//
// 512 bytes at most, which is the library's limit.
const metaVersion = 1

// A gossiped is what gossip tells of a node. Whoever has the cluster key can
// say it of anybody: it is good for finding whom to ask, and for nothing else.
type gossiped struct {
	id      string
	address string // of the service; the member's name in gossip
}

func (g gossiped) encode() []byte {
	b := make([]byte, 0, 2+len(g.id)+len(g.address))
	b = append(b, metaVersion, byte(len(g.id))) // at most fsm.MemberSizeMax
	b = append(b, g.id...)
	return append(b, g.address...)
}

// decodeMeta reads what encode wrote, and nothing else.
func decodeMeta(b []byte) (g gossiped, err error) {
	switch {
	case len(b) < 2:
		return g, errors.New("too short")
	case b[0] != metaVersion:
		return g, fmt.Errorf("of version %d, this program knows %d", b[0], metaVersion)
	case len(b) < 2+int(b[1]):
		return g, errors.New("too short for its id")
	}
	g.id, g.address = string(b[2:2+int(b[1])]), string(b[2+int(b[1]):])
	if err := validID(g.id); err != nil {
		return gossiped{}, fmt.Errorf("id: %w", err)
	}
	if err := validAddress(g.address, dialable); err != nil {
		return gossiped{}, fmt.Errorf("address %q: %w", g.address, err)
	}
	return g, nil
}
