package fsm

// sparesMax bounds what is kept for reuse: an entry's worth of commands.
const sparesMax = 1024

// spares are locks and grants that are over, for the next ones to be made of:
// a lock service that is used as intended makes and forgets little else. Only
// what was made or copied in the present era may come here; an older one may
// be in somebody's View, which does not change.
type spares struct {
	locks  []*lock
	grants []*grant
}

// keepLock takes in a lock that is out of its tree.
func (p *spares) keepLock(l *lock, era uint64) {
	if l.era == era && len(p.locks) < sparesMax {
		p.locks = append(p.locks, l)
	}
}

// keepGrant takes in a grant that is out of its tree. Its fields stay readable
// until the next grant is made.
func (p *spares) keepGrant(g *grant, era uint64) {
	if g.era == era && len(p.grants) < sparesMax {
		p.grants = append(p.grants, g)
	}
}

// lock gives a lock to be overwritten.
func (p *spares) lock() *lock {
	if n := len(p.locks); n > 0 {
		l := p.locks[n-1]
		p.locks = p.locks[:n-1]
		return l
	}
	return new(lock)
}

// grant gives a grant to be overwritten.
func (p *spares) grant() *grant {
	if n := len(p.grants); n > 0 {
		g := p.grants[n-1]
		p.grants = p.grants[:n-1]
		return g
	}
	return new(grant)
}
