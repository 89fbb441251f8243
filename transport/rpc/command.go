package rpc

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/lockd-io/lockd/fsm"
)

// Commands are encoded and decoded by hand, straight from and to fsm.Command:
// through generated messages a command costs its struct, its strings and a
// copy on either side. The bytes are those of message Command in lockd.proto,
// which a test holds against the generated code.

const tagCommands = 1<<3 | byte(protowire.BytesType) // ClientFrame.commands

// Speakable tells whether clients may send an op: the others are what nodes say
// among themselves, or of a later version.
func Speakable(op fsm.Op) bool {
	return op >= fsm.OpOpen && op <= fsm.OpAbandon || op == fsm.OpResume
}

// AppendCommand appends c to dst as one element of ClientFrame.commands.
func AppendCommand(dst []byte, c *fsm.Command) []byte {
	dst, start := begin(dst, tagCommands)
	dst = appendNumber(dst, 1, uint64(c.Op))
	dst = appendNumber(dst, 2, uint64(c.Session))
	dst = appendNumber(dst, 3, uint64(c.Incarnation))
	dst = appendNumber(dst, 4, uint64(c.Seq))
	dst = appendNumber(dst, 5, uint64(c.Mark))
	dst = appendNumber(dst, 6, uint64(c.Seen))
	switch c.Op {
	case fsm.OpOpen, fsm.OpAttach, fsm.OpResume:
		dst = appendNonce(dst, 7, c.Nonce)
		dst = append(dst, 8<<3|byte(protowire.BytesType), byte(len(c.Secret)))
		dst = append(dst, c.Secret[:]...)
		dst = appendNumber(dst, 9, uint64(c.TTL))
		dst = appendText(dst, 10, c.Label)
	case fsm.OpAcquire:
		for i := range c.Wants {
			dst = appendWant(dst, &c.Wants[i])
		}
		dst = appendText(dst, 12, c.Owner)
		dst = appendNumber(dst, 13, uint64(c.Wait))
	}
	dst = appendNumber(dst, 14, uint64(c.MaxHold))
	dst = appendNumber(dst, 15, uint64(c.Grant))
	dst = appendNumber(dst, 16, uint64(c.Target))
	return end(dst, start)
}

func appendWant(dst []byte, w *fsm.Want) []byte {
	dst, start := begin(dst, 11<<3|byte(protowire.BytesType))
	dst = appendText(dst, 1, w.Name)
	dst = appendNumber(dst, 2, uint64(w.Kind))
	dst = appendNumber(dst, 3, uint64(w.Mode))
	dst = appendNumber(dst, 4, uint64(w.Permits))
	dst = appendNumber(dst, 5, uint64(w.Limit))
	return end(dst, start)
}

// commandFrame is a ClientFrame that has come in. What is in it is valid until
// the next; only what commands refer to may be kept.
type commandFrame struct {
	commands []fsm.Command
}

// decode fills f. The strings of all commands share one copy of data.
func (f *commandFrame) decode(data []byte) error {
	f.commands = f.commands[:0]
	var wants []fsm.Want // of all commands; kept by whoever keeps one
	r := reader[string]{b: string(data)}
	for {
		num, kind, ok := r.next()
		if !ok {
			break
		}
		if num != 1 || kind != protowire.BytesType {
			r.skip(kind)
			continue
		}
		body := r.field()
		switch {
		case len(body) > CommandSizeMax:
			return fmt.Errorf("a command of %d bytes, at most %d", len(body), CommandSizeMax)
		case len(f.commands) == FrameCommandsMax:
			return fmt.Errorf("more than %d commands in a frame", FrameCommandsMax)
		}
		f.commands = append(f.commands, fsm.Command{})
		in := reader[string]{b: body}
		wants = decodeCommand(&in, &f.commands[len(f.commands)-1], wants)
		if in.bad {
			return fmt.Errorf("command %d of a frame is malformed", len(f.commands))
		}
	}
	if r.bad {
		return errMalformed
	}
	return nil
}

// decodeCommand takes c's wants from the end of wants, which it returns.
func decodeCommand(r *reader[string], c *fsm.Command, wants []fsm.Want) []fsm.Want {
	first := len(wants)
	for {
		num, kind, ok := r.next()
		switch {
		case !ok:
			c.Wants = wants[first:len(wants):len(wants)]
			return wants
		case kind == protowire.VarintType:
			decodeCommandNumber(r, c, num)
		case kind != protowire.BytesType:
			r.skip(kind)
		case num == 7:
			c.Nonce = decodeNonce(r)
		case num == 8:
			secret := r.field()
			if len(secret) != len(c.Secret) {
				r.fail()
			}
			copy(c.Secret[:], secret)
		case num == 10:
			c.Label = r.field()
		case num == 11:
			// One more than may be is enough to be refused for; a frame of empty
			// wants must not become a hundred times its size.
			if w := decodeWant(r); len(wants)-first <= fsm.WantsMax {
				wants = append(wants, w)
			}
		case num == 12:
			c.Owner = r.field()
		default:
			r.skip(kind)
		}
	}
}

func decodeCommandNumber(r *reader[string], c *fsm.Command, num protowire.Number) {
	switch num {
	case 1:
		c.Op = fsm.Op(r.number())
	case 2:
		c.Session = fsm.SessionID(r.uvarint())
	case 3:
		c.Incarnation = fsm.Incarnation(r.small())
	case 4:
		c.Seq = fsm.Seq(r.uvarint())
	case 5:
		c.Mark = fsm.Seq(r.uvarint())
	case 6:
		c.Seen = fsm.EventID(r.uvarint())
	case 9:
		c.TTL = fsm.Duration(r.uvarint())
	case 13:
		c.Wait = fsm.Duration(r.uvarint())
	case 14:
		c.MaxHold = fsm.Duration(r.uvarint())
	case 15:
		c.Grant = fsm.GrantID(r.uvarint())
	case 16:
		c.Target = fsm.Seq(r.uvarint())
	default:
		r.uvarint()
	}
}

func decodeWant(from *reader[string]) (w fsm.Want) {
	r := reader[string]{b: from.field()}
	for {
		num, kind, ok := r.next()
		if !ok {
			break
		}
		switch {
		case num == 1 && kind == protowire.BytesType:
			w.Name = r.field()
		case num == 2 && kind == protowire.VarintType:
			w.Kind = fsm.Kind(r.number())
		case num == 3 && kind == protowire.VarintType:
			w.Mode = fsm.Mode(r.number())
		case num == 4 && kind == protowire.VarintType:
			w.Permits = fsm.Permits(r.small())
		case num == 5 && kind == protowire.VarintType:
			w.Limit = fsm.Permits(r.small())
		default:
			r.skip(kind)
		}
	}
	if r.bad {
		from.fail()
	}
	return w
}
