package transport

import (
	"bytes"
	"testing"
)

// A proof is of one side and of these bytes with these borders: who is sent his own
// proof back, or the same bytes cut otherwise, has been proved nothing.
func TestProofIsOfOneSideAndOneReading(t *testing.T) {
	key := NewKey([]byte("0123456789abcdef"))
	proof := key.prove(roleDialler, []byte("hello"), []byte("challenge"))
	if !bytes.Equal(proof, key.prove(roleDialler, []byte("hello"), []byte("challenge"))) {
		t.Error("the same is proved otherwise")
	}
	for what, other := range map[string][]byte{
		"the other side":    key.prove(roleAcceptor, []byte("hello"), []byte("challenge")),
		"another border":    key.prove(roleDialler, []byte("helloc"), []byte("hallenge")),
		"no border":         key.prove(roleDialler, []byte("hellochallenge")),
		"another key":       NewKey([]byte("fedcba9876543210")).prove(roleDialler, []byte("hello"), []byte("challenge")),
		"one byte of a key": NewKey([]byte("0123456789abcdeg")).prove(roleDialler, []byte("hello"), []byte("challenge")),
	} {
		if bytes.Equal(proof, other) {
			t.Errorf("%s has the same proof", what)
		}
	}
}
