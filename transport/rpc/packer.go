package rpc

import (
	"sync"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

const (
	packSizeMin  = 4 << 10      // so large that gRPC gives the buffer back
	packSizeKept = 2 * packSize // larger ones are left to the collector
)

// A Packer gathers what is to be sent on one stream while the message before
// is under way. Elements of a repeated field follow each other on the wire, so
// that a frame is no more than its elements appended.
//
// Packer is not safe by itself: the lock of its owner, under which things come
// to be sent, guards it. One goroutine waits for Wake, gives way to the
// scheduler once, so that who is about to send gets in too, takes everything
// under the lock, and sends it without.
type Packer struct {
	pool *bufferPool
	wake chan struct{}
	full []Packed
	open *[]byte // the frame that is still growing; nil if there is none
	size int
}

// Packed is a frame that SendMsg takes, once.
type Packed struct {
	data *[]byte
	pool *bufferPool
}

// NewPacker makes a Packer for one stream.
func NewPacker() *Packer {
	return &Packer{pool: &bufferPool{}, wake: make(chan struct{}, 1)}
}

// Wake is readable when there is something to take, and sometimes when there
// is not.
func (p *Packer) Wake() <-chan struct{} { return p.wake }

// Size is how many bytes wait to be taken.
func (p *Packer) Size() int { return p.size }

// Command adds a command to what a client sends.
func (p *Packer) Command(c *fsm.Command) {
	b := p.begin()
	p.end(b, AppendCommand(*b, c))
}

func (p *Packer) outcome(o *Outcome) {
	b := p.begin()
	p.end(b, appendOutcome(*b, o))
}

func (p *Packer) hello(h *lockdv1.Hello) {
	b := p.begin()
	p.end(b, appendHello(*b, h))
}

func (p *Packer) begin() *[]byte {
	if p.open == nil {
		p.open = p.pool.Get(packSizeMin)
		*p.open = (*p.open)[:0]
	}
	return p.open
}

func (p *Packer) end(b *[]byte, grown []byte) {
	p.size += len(grown) - len(*b)
	*b = grown
	if len(grown) >= packSize {
		p.full = append(p.full, Packed{b, p.pool})
		p.open = nil
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Take moves the frames that wait to the end of dst, in order.
func (p *Packer) Take(dst []Packed) []Packed {
	dst = append(dst, p.full...)
	clear(p.full)
	p.full = p.full[:0]
	if p.open != nil {
		dst = append(dst, Packed{p.open, p.pool})
		p.open = nil
	}
	p.size = 0
	return dst
}

// bufferPool keeps the buffers of one stream's frames; gRPC gives them back
// when they are on the wire.
type bufferPool struct{ pool sync.Pool }

// Get implements mem.BufferPool.
func (p *bufferPool) Get(length int) *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok && cap(*b) >= length {
		*b = (*b)[:length]
		return b
	}
	b := make([]byte, length)
	return &b
}

// Put implements mem.BufferPool.
func (p *bufferPool) Put(b *[]byte) {
	if cap(*b) <= packSizeKept {
		p.pool.Put(b)
	}
}
