package cluster

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/raft"
)

// A place is where a member is: what raft calls a server's address. It is
//
//	ID@HOST:PORT      since it is a member
//	ID+N@HOST:PORT    since it has moved for the Nth time
//	HOST:PORT         in entries that were written before members could move
//
// With the id in it no two members ever have one place, though one moves to where
// the other was. raft remembers for whom a node voted by the candidate's place, and
// keeps connections by place: were it the address alone, a vote of a term for the
// member that was there would be one for the member that is there now, and one
// node's answers would count as another's. An id has neither '@' nor '+'.
type place struct {
	id      string
	move    uint64
	address string
}

func (p place) raft() raft.ServerAddress {
	switch {
	case p.id == "":
		return raft.ServerAddress(p.address)
	case p.move == 0:
		return raft.ServerAddress(p.id + "@" + p.address)
	}
	return raft.ServerAddress(fmt.Sprintf("%s+%d@%s", p.id, p.move, p.address))
}

// placeOf reads what raft has. What is not of a known form is an address.
func placeOf(a raft.ServerAddress) place {
	who, address, found := strings.Cut(string(a), "@")
	if !found {
		return place{address: string(a)}
	}
	id, number, moved := strings.Cut(who, "+")
	p := place{id: id, address: address}
	if moved {
		var err error
		if p.move, err = strconv.ParseUint(number, 10, 64); err != nil || p.move == 0 {
			return place{address: string(a)}
		}
	}
	return p
}
