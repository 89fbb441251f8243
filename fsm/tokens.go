package fsm

import "encoding/binary"

// Tokens are the tokens of an acquire-all's names but the first, in the order of
// its wants. It is a list in a string, so that what has one compares with == and
// cannot be changed: most grants have one name, and pay nothing for those that
// have sixty-four.
type Tokens string

// append adds a token to the encoding of a list.
func (t Token) append(list []byte) []byte { return binary.AppendUvarint(list, uint64(t)) }

// All lists the tokens.
func (t Tokens) All() []Token {
	var all []Token
	for r := (reader[string]{b: string(t)}); len(r.b) > 0; {
		all = append(all, Token(r.uvarint()))
	}
	return all
}

// decodeTokens takes a list in its canonical form, of at least one token.
func decodeTokens[T string | []byte](r *reader[T]) Tokens {
	list := r.text((WantsMax - 1) * binary.MaxVarintLen64)
	n := 0
	for in := (reader[string]{b: list}); len(in.b) > 0 && !r.bad; n++ {
		if in.uvarint(); in.bad || n >= WantsMax {
			r.fail()
		}
	}
	if n == 0 {
		r.fail()
	}
	return Tokens(list)
}
