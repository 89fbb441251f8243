package history

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A keyword is one of EDN, without its colon.
type keyword string

// A symbol is a word of EDN that is nothing else: a number with a fraction, too,
// and a character, since histories of locks have no use for them.
type symbol string

// An ednMap is keys and values, in turns.
type ednMap []any

// get is the value of a key; nil if there is none, as in Clojure.
func (m ednMap) get(key keyword) any {
	for i := 0; i+1 < len(m); i += 2 {
		if m[i] == any(key) {
			return m[i+1]
		}
	}
	return nil
}

// An ednReader reads values one after another: nil, booleans, int64, string,
// keyword, symbol, []any for vectors, lists and sets, and ednMap. A tag is left
// out: Jepsen has records (#jepsen.history.Op{...}) where it means maps.
type ednReader struct {
	text  []byte
	at    int
	depth int
}

// ednDepthMax bounds how deep values are in one another: an operation of a lock
// needs three levels, and a stack has an end.
const ednDepthMax = 64

func (r *ednReader) wrong(what string) error {
	return fmt.Errorf("line %d: %s", 1+bytes.Count(r.text[:r.at], []byte("\n")), what)
}

// all reads values up to the bracket that ends them, or to the end of the text if
// that is 0.
func (r *ednReader) all(end byte) ([]any, error) {
	if r.depth++; r.depth > ednDepthMax {
		return nil, r.wrong("values nested too deep")
	}
	defer func() { r.depth-- }()
	values := []any{}
	for {
		r.space()
		switch {
		case r.at == len(r.text):
			if end == 0 {
				return values, nil
			}
			return nil, r.wrong(fmt.Sprintf("the text ends before %q", end))
		case r.text[r.at] == end:
			r.at++
			return values, nil
		case bytes.HasPrefix(r.text[r.at:], []byte("#_")):
			r.at += 2
			if _, err := r.one(); err != nil {
				return nil, err
			}
			continue
		}
		value, err := r.one()
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
}

// one reads a value.
func (r *ednReader) one() (any, error) {
	if r.space(); r.at == len(r.text) {
		return nil, r.wrong("the text ends where a value should be")
	}
	c := r.text[r.at]
	r.at++
	switch c {
	case '[':
		return r.all(']')
	case '(':
		return r.all(')')
	case '{':
		pairs, err := r.all('}')
		if err == nil && len(pairs)%2 != 0 {
			err = r.wrong("a map with a key that has no value")
		}
		return ednMap(pairs), err
	case '"':
		return r.quoted()
	case ')', ']', '}':
		return nil, r.wrong(fmt.Sprintf("%q without what it ends", c))
	case '#':
		return r.tagged()
	case '\\': // a character, which may be a bracket
		_, size := utf8.DecodeRune(r.text[r.at:])
		return symbol(`\` + string(r.text[r.at:r.at+size]) + r.word(r.at+size)), nil
	}
	return atom(r.word(r.at - 1)), nil
}

// tagged reads what is behind a #: a set, or a tag and its value.
func (r *ednReader) tagged() (any, error) {
	if r.at < len(r.text) && r.text[r.at] == '{' {
		r.at++
		return r.all('}')
	}
	if r.word(r.at) == "" {
		return nil, r.wrong("# without a tag")
	}
	if r.depth++; r.depth > ednDepthMax {
		return nil, r.wrong("values nested too deep")
	}
	defer func() { r.depth-- }()
	return r.one()
}

// space passes over what separates values: commas and comments, too.
func (r *ednReader) space() {
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == ';':
			end := bytes.IndexByte(r.text[r.at:], '\n')
			if end < 0 {
				r.at = len(r.text)
				return
			}
			r.at += end
		case c > ' ' && c != ',':
			return
		}
	}
}

// word reads from there up to the next separator or bracket.
func (r *ednReader) word(from int) string {
	r.at = from
	for r.at < len(r.text) && r.text[r.at] > ' ' && !bytes.ContainsRune([]byte(`,;"()[]{}`), rune(r.text[r.at])) {
		r.at++
	}
	return string(r.text[from:r.at])
}

func atom(word string) any {
	switch word {
	case "nil":
		return nil
	case "true", "false":
		return word == "true"
	}
	if name, is := strings.CutPrefix(word, ":"); is {
		return keyword(name)
	}
	if n, err := strconv.ParseInt(strings.TrimSuffix(word, "N"), 10, 64); err == nil {
		return n
	}
	return symbol(word)
}

// quoted reads a string from behind its first quote. EDN's escapes are JSON's, of
// which strconv knows all but \/, which EDN has not either.
func (r *ednReader) quoted() (any, error) {
	for from := r.at; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '\\':
			r.at++
		case '"':
			inner := strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(string(r.text[from:r.at]))
			text, err := strconv.Unquote(`"` + inner + `"`)
			if err != nil {
				return nil, r.wrong("a string with an escape of no meaning")
			}
			r.at++
			return text, nil
		}
	}
	r.at = min(r.at, len(r.text))
	return nil, r.wrong("a string without an end")
}

// ednMaps are the maps of a text, which has them one after another, as Jepsen's
// history.edn, or in one vector.
func ednMaps(text []byte) ([]ednMap, error) {
	r := ednReader{text: text}
	values, err := r.all(0)
	if err != nil {
		return nil, err
	}
	if len(values) == 1 {
		if inner, is := values[0].([]any); is {
			values = inner
		}
	}
	maps := make([]ednMap, len(values))
	for i, value := range values {
		m, is := value.(ednMap)
		if !is {
			return nil, errors.New("a history is maps, one for each end of an operation; number " + strconv.Itoa(i) + " is none")
		}
		maps[i] = m
	}
	return maps, nil
}
