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
	switch c.Op {
	case OpOpen:
		return c.validateOpen()
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
		if !ValidName(c.Wants[i].Name) {
			return invalid(LimitName)
		}
	}
	// Level 1 knows one exclusive lock at a time.
	w := &c.Wants[0]
	switch {
	case len(c.Wants) > 1 || w.Kind != KindLock || w.Mode != Exclusive:
		return Result{Status: StatusLevel}
	case w.Permits != 0 || w.Limit != 0:
		return invalid(LimitPermits)
	}
	return Result{}
}

func (m Member) own() Member {
	return Member{ID: strings.Clone(m.ID), Instance: m.Instance, Address: strings.Clone(m.Address)}
}
