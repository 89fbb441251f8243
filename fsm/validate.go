package fsm

import (
	"strings"
	"unicode/utf8"
)

// ValidName tells whether name may identify a lock: 1 to NameSizeMax bytes of
// UTF-8 without NUL.
func ValidName(name string) bool {
	return name != "" && ValidText(name, NameSizeMax)
}

// ValidText tells whether text is UTF-8 without NUL in at most sizeMax bytes.
func ValidText(text string, sizeMax int) bool {
	return len(text) <= sizeMax && utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}

// Validate tells what is wrong with a command by itself, whatever the state: a
// zero Result if nothing is. Backends ask before a command enters a log, Apply
// asks again.
func (c *Command) Validate(level Level) Result {
	if c.Op == 0 || c.Op >= opEnd {
		return Result{Status: StatusLevel}
	}
	if c.speaks() && (c.Session == 0 || c.Incarnation == 0) {
		return Result{Status: StatusInvalid}
	}
	if c.Key().Class == ClassSeq && (c.Seq == 0 || c.Mark > c.Seq) {
		return Result{Status: StatusInvalid}
	}
	if r := c.validateBehalf(); r.Status != 0 {
		return r
	}
	switch c.Op {
	case OpOpen:
		return c.validateOpen()
	case OpResume:
		if c.Session == ReservedSession || c.Nonce == (Nonce{}) {
			return Result{Status: StatusInvalid}
		}
	case OpAcquire:
		return c.validateAcquire()
	case OpExtend:
		if c.MaxHold <= 0 || c.MaxHold > MaxHoldMax {
			return invalid(LimitMaxHold)
		}
	case OpAbandon:
		if c.Target == 0 || c.Target >= c.Seq {
			return Result{Status: StatusInvalid}
		}
	case OpMember:
		if m := &c.Member; m.ID == "" || !ValidText(m.ID, MemberSizeMax) ||
			m.Address == "" || !ValidText(m.Address, MemberSizeMax) {
			return invalid(LimitMember)
		}
	}
	return Result{}
}

func invalid(l LimitID) Result { return Result{Status: StatusInvalid, Limit: l} }

func (c *Command) validateOpen() Result {
	switch {
	case c.TTL < TTLMin || c.TTL > TTLMax:
		return invalid(LimitTTL)
	case !ValidText(c.Label, LabelSizeMax):
		return invalid(LimitLabel)
	}
	return Result{}
}

func (c *Command) validateAcquire() Result {
	switch {
	case len(c.Wants) == 0 || len(c.Wants) > WantsMax:
		return invalid(LimitWants)
	case !ValidText(c.Owner, OwnerSizeMax):
		return invalid(LimitOwner)
	case c.Wait < Forever || c.Wait > WaitMax:
		return invalid(LimitWait)
	case c.MaxHold < 0 || c.MaxHold > MaxHoldMax:
		return invalid(LimitMaxHold)
	}
	for i := range c.Wants {
		if r := c.Wants[i].validate(); r.Status != 0 {
			r.Place = uint32(i + 1)
			return r
		}
		for k := range i {
			if c.Wants[k].Name == c.Wants[i].Name {
				return Result{Status: StatusInvalid, Limit: LimitWants, Place: uint32(i + 1)}
			}
		}
	}
	return Result{}
}

func (w *Want) validate() Result {
	lock := w.Kind == KindLock && (w.Mode == Exclusive || w.Mode == Shared)
	semaphore := w.Kind == KindSemaphore && w.Mode == Counted
	switch {
	case !ValidName(w.Name):
		return invalid(LimitName)
	case !lock && !semaphore:
		return Result{Status: StatusInvalid}
	case lock && (w.Permits != 0 || w.Limit != 0), semaphore && (w.Permits < 1 || w.Permits > w.Limit):
		return invalid(LimitPermits)
	}
	return Result{}
}

// validateBehalf checks for whom a command is. What a client says for itself
// says nothing of others.
func (c *Command) validateBehalf() Result {
	acquire, named := c.Op == OpAcquire, c.Op == OpRelease || c.Op == OpExtend
	switch {
	case c.Behalf == BehalfSelf:
		if c.For != 0 || acquire && c.Nonce != (Nonce{}) {
			return Result{Status: StatusInvalid}
		}
		return Result{}
	case c.Behalf >= behalfEnd || !acquire && !named,
		(c.Behalf == BehalfAnother) != (c.For != ReservedSession), c.For == c.Session:
		return Result{Status: StatusInvalid}
	case named && (len(c.Wants) != 1 || !ValidName(c.Wants[0].Name)):
		return invalid(LimitName)
	case acquire && c.Behalf == BehalfNobody && c.MaxHold == 0:
		return invalid(LimitMaxHold)
	}
	return Result{}
}

func (m Member) own() Member {
	return Member{ID: strings.Clone(m.ID), Instance: m.Instance, Address: strings.Clone(m.Address)}
}
