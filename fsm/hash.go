package fsm

// The hashes of this package tell honest repeats and replicas from mistaken
// ones; they are no defence against somebody who chooses the input.

// mix folds x into h (the finalizer of Austin Appleby's MurmurHash3).
func mix(h, x uint64) uint64 {
	h ^= x
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h
}

func mixString(h uint64, s string) uint64 {
	h = mix(h, uint64(len(s)))
	for ; len(s) >= 8; s = s[8:] {
		h = mix(h, uint64(s[0])|uint64(s[1])<<8|uint64(s[2])<<16|uint64(s[3])<<24|
			uint64(s[4])<<32|uint64(s[5])<<40|uint64(s[6])<<48|uint64(s[7])<<56)
	}
	tail := uint64(0)
	for i := 0; i < len(s); i++ {
		tail = tail<<8 | uint64(s[i])
	}
	return mix(h, tail)
}

// hash covers what the command asks for; never hashBurnt.
func (c *Command) hash() uint64 {
	h := mix(1, uint64(c.Op))
	for i := range c.Wants {
		w := &c.Wants[i]
		h = mixString(h, w.Name)
		h = mix(h, uint64(w.Kind)<<8|uint64(w.Mode))
		h = mix(h, uint64(w.Permits)<<32|uint64(w.Limit))
	}
	h = mixString(h, c.Owner)
	h = mix(h, uint64(c.Wait))
	h = mix(h, uint64(c.MaxHold))
	h = mix(h, uint64(c.Grant))
	h = mix(h, uint64(c.Target))
	if c.Behalf != BehalfSelf {
		h = mix(h, uint64(c.Behalf))
		h = mix(h, uint64(c.For))
		h = mix(h, c.Nonce.Hi)
		h = mix(h, c.Nonce.Lo)
	}
	if h == hashBurnt {
		return hashBurnt + 1
	}
	return h
}

// hash is over the canonical form of an outcome at level 1: every field, in
// the order of their declaration.
func (o *Outcome) hash(h uint64) uint64 {
	h = mix(h, uint64(o.Kind)<<56|uint64(o.Key.Class)<<48|uint64(o.Key.Incarnation))
	h = mix(h, uint64(o.Key.Session))
	h = mix(h, uint64(o.Key.Seq))
	h = mix(h, uint64(int64(o.Pos)))
	h = mix(h, uint64(o.Event))
	return o.Result.hash(h)
}

func (r *Result) hash(h uint64) uint64 {
	h = mix(h, uint64(r.Status)<<56|uint64(r.Limit)<<48|uint64(r.Order))
	h = mix(h, uint64(r.Incarnation))
	h = mix(h, uint64(r.At))
	h = mix(h, uint64(r.Index))
	h = mix(h, uint64(r.Session))
	h = mix(h, uint64(r.Term))
	h = mix(h, uint64(r.Grant))
	h = mix(h, uint64(r.Token))
	h = mixString(h, string(r.Rest))
	h = mix(h, uint64(r.Until))
	h = mix(h, uint64(r.Count)<<32|uint64(r.Place))
	return mix(h, r.Value)
}

// link carries the chain on over this entry: the rolling hash of all outcomes.
// A replica with another hash at the same index has diverged.
func (s *State) link() {
	h := mix(s.chain, uint64(s.applied))
	h = mix(h, uint64(s.now))
	for i := range s.out {
		h = s.out[i].hash(h)
	}
	s.chain = h
	s.recent[uint64(s.applied)%recentChecks] = Check{Index: s.applied, Hash: h}
}

// Chain is the hash after the last entry, to be sent with the next.
func (s *State) Chain() Check { return Check{Index: s.applied, Hash: s.chain} }

// ChainAt is the hash after an earlier entry, if it is recent enough to know.
func (s *State) ChainAt(i Index) (uint64, bool) {
	if c := s.recent[uint64(i)%recentChecks]; c.Index == i && i > 0 {
		return c.Hash, true
	}
	return 0, false
}
