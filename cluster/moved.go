package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lockd-io/lockd/transport"
)

// Moves: how a member comes to another address.
//
// A member is bound to the address that the membership has for it. That keeps a
// copy of its data directory from voting beside it: two processes with one
// identity would be two votes of one node. So another address takes the word of
// an operator that whatever ran at the old one is gone for good (Config.Moved).
// The rules, for a member that announces an address that is not the membership's:
//
//   - M1. Without the word it is refused, and stops, unless its log knows of a
//     later move of it than the one who judges: then the word was given before.
//   - M2. It is called back at the new address: it is who answers there.
//   - M3. It is asked for at the old one. If it answers there too, as another
//     process, the word is false, and it is refused.
//   - M4. Else the one who judged takes it to be at the new address, from then on
//     and not longer than until the membership has another one; it closes what
//     the member opened before; and who is still at the old address is refused by
//     M1 and stops.
//   - M5. The member asks whoever leads to commit its new address, and that one
//     judges it by the same rules first. When nobody leads, for all have moved,
//     they find each other by Join and gossip, judge each other, and elect by what
//     they then know. Each move has a number in the membership, by which M1 knows
//     a later one.
//
// Why truthful words never make two leaders of one term. A leader needs the votes
// of a majority of the members, by id, and a move changes no member's id. A vote
// comes from a stream that has proved the id and the data directory of the member
// that was asked, wherever it is (a stream to one member never counts as one to
// another: see place). A data directory gives one vote a term, to one id. If the
// word is true, the process at the new address is the only one with that
// directory. So each member votes once in a term, as if it had not moved.
//
// What a false word can do: if the process at the old address lives, and is cut
// off or stopped while M3 asks, there are two processes with one member's vote. A
// majority that counts the one and a majority that counts the other may share no
// other member, and two leaders of one term, two holders of one lock, may follow.
// When the first is heard of again by anybody who knows of the move, it stops.
type move struct {
	from string // the membership's address when it was judged
	to   place
}

// A standing is what a member says about how it came to be where it is.
type standing struct {
	// Move is the number of the move that led there, by its own log; 0 if none did.
	Move uint64 `json:"move,omitempty"`
	// Moved is the operator's word, for an address that its log does not have.
	Moved bool `json:"moved,omitempty"`
}

// oldAddressTimeout is how long a member is looked for where it says that it is
// not any more. A host that is gone does not answer at all.
const oldAddressTimeout = time.Second

// standing is what this node says of itself.
func (p *peers) standing() standing {
	id := p.identity.saved().ID
	switch at, known := p.listed(id); {
	case !known:
		return standing{}
	case at.address == p.address:
		return standing{Move: at.move}
	default: // its moves have led elsewhere: they say nothing for this address
		return standing{Moved: p.moved}
	}
}

// listed is where the membership has a member.
func (p *peers) listed(id string) (at place, known bool) {
	if p.placed != nil {
		return p.placed(id)
	}
	m, known := p.member(id)
	return place{id: id, address: m.Address}, known
}

// whereabouts is where this node looks for a member: by the membership, unless it
// has moved since.
func (p *peers) whereabouts(id string) (at place, known bool) {
	at, known = p.listed(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, moved := p.movedTo[id]; moved {
		if known && v.from == at.address && at.move < v.to.move {
			return v.to, true
		}
		delete(p.movedTo, id)
	}
	return at, known
}

// judgeMove decides about a member that announces another address than at.
func (p *peers) judgeMove(ctx context.Context, at place, peer transport.Identity, said announcement) refusal {
	if !said.Moved && said.Move <= at.move {
		return refusal{refusedMoved, fmt.Sprintf("knows the member %s at %s, not at %s: this runs on a copy of its data directory, "+
			"or it has moved. If what ran at %s is gone for good, start it with --moved here; a name of DNS for an address spares that",
			at.id, at.address, said.Address, at.address)}
	}
	var here, there refusal
	var calls sync.WaitGroup
	calls.Go(func() { here = p.callBack(ctx, peer, said) })
	calls.Go(func() { there = p.seekAtOld(ctx, at, peer, said) })
	calls.Wait()
	if here != (refusal{}) {
		return here
	}
	if there != (refusal{}) {
		return there
	}
	by, _ := p.listed(peer.ID)
	to := place{id: peer.ID, move: max(at.move, by.move+1, said.Move), address: said.Address}
	p.mu.Lock()
	p.movedTo[peer.ID] = move{from: by.address, to: to}
	p.mu.Unlock()
	p.logger.Warn("a member has moved", "member", peer.ID, "from", at.address, "to", said.Address)
	if p.cut != nil {
		p.cut(peer.ID)
	}
	return refusal{}
}

// seekAtOld is M3.
func (p *peers) seekAtOld(ctx context.Context, at place, peer transport.Identity, said announcement) refusal {
	ctx, cancel := context.WithTimeout(ctx, oldAddressTimeout)
	defer cancel()
	r, err := p.ask(ctx, at.address, request{Kind: requestWho, From: p.introduction()})
	if err == nil && r.From.ref == (ref{peer.ID, instance(peer.Instance)}) && r.From.Boot != said.Boot {
		return refusal{refusedCopied, fmt.Sprintf("still finds the member %s at %s, which %s says it has left: one of the two runs on a copy "+
			"of the other's data directory. Stop one of them", peer.ID, at.address, said.Address)}
	}
	return refusal{}
}

// callBack is M2, and how every process is looked at once: it is at the address
// that it says.
func (p *peers) callBack(ctx context.Context, peer transport.Identity, said announcement) refusal {
	said.standing = standing{}
	p.mu.Lock()
	proved := p.proved[peer.ID] == said
	p.mu.Unlock()
	if proved {
		return refusal{}
	}
	if err := validAddress(said.Address, dialable); err != nil {
		return refusal{refusedNow, fmt.Sprintf("does not call back %q: %v", said.Address, err)}
	}
	r, err := p.ask(ctx, said.Address, request{Kind: requestWho, From: p.introduction()})
	switch {
	case errors.Is(err, transport.ErrSelf), err == nil && (r.From.Boot != said.Boot || r.From.ref != ref{peer.ID, said.Instance}):
		return refusal{refusedCopied, fmt.Sprintf("finds another process at %s, which this one says is its address: "+
			"one of the two runs on a copy of the other's data directory or configuration", said.Address)}
	case err != nil:
		return refusal{refusedNow, fmt.Sprintf("cannot reach %s, which this one says is its address: %v", said.Address, err)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.proved) >= saidMax {
		clear(p.proved)
	}
	p.proved[peer.ID] = said
	return refusal{}
}
