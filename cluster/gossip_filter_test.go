package cluster

import (
	"bytes"
	"compress/lzw"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/hashicorp/memberlist"
)

func gossipNode(name string, meta []byte) *memberlist.Node {
	return &memberlist.Node{Name: name, Meta: meta}
}

// seal is what the library does to what it sends.
func seal(key, plain, extra []byte) []byte {
	block, _ := aes.NewCipher(key)
	aead, _ := cipher.NewGCM(block)
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	return aead.Seal(append([]byte{gossipCipher}, nonce...), nonce, plain, extra)
}

func packed(parts ...[]byte) []byte {
	b := []byte{gossipCompound, byte(len(parts))}
	for _, p := range parts {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
	}
	return append(b, bytes.Join(parts, nil)...)
}

// bomb is a message that the library would make a million times longer.
func bomb() []byte {
	var squeezed bytes.Buffer
	w := lzw.NewWriter(&squeezed, lzw.LSB, 8)
	w.Write(make([]byte, 1<<20))
	w.Close()
	return append([]byte{gossipCompressed, 0x82}, squeezed.Bytes()...)
}

// A node sends nothing compressed, and takes nothing compressed: not bare, not
// in a pack, not behind a checksum, not on a stream; with and without a key.
func TestGossipFilter(t *testing.T) {
	key := gossipKey(gossipTestKey)
	other := gossipKey([]byte("another cluster's"))
	label := append([]byte{gossipLabelled, byte(len(gossipLabel))}, gossipLabel...)
	ping := []byte{0, 0x80}
	checked := func(b []byte) []byte { return append([]byte{gossipChecksum, 1, 2, 3, 4}, b...) }
	for _, c := range []struct {
		name    string
		message []byte
		refused string
	}{
		{"a ping", ping, ""},
		{"a pack", packed(ping, ping), ""},
		{"with a checksum", checked(packed(ping)), ""},
		{"compressed", bomb(), "compressed"},
		{"compressed, with a checksum", checked(bomb()), "compressed"},
		{"compressed, in a pack", packed(ping, bomb()[:1000]), "compressed"},
		{"a pack in a pack", packed(packed(bomb()[:1000])), "a pack within a pack"},
		{"a pack that ends early", packed(ping, ping)[:5], "does not decode"},
		{"a pack without its lengths", []byte{gossipCompound, 9, 0}, "does not decode"},
		{"nothing", nil, "empty"},
	} {
		for _, k := range [][]byte{nil, key} {
			f, err := newGossipFilter(k)
			if err != nil {
				t.Fatal(err)
			}
			body := c.message
			if k != nil {
				body = seal(k, body, []byte(gossipLabel))
			}
			err = f.packet(append(bytes.Clone(label), body...))
			if (err == nil) != (c.refused == "") || err != nil && (!errors.Is(err, errGossip) || !strings.Contains(err.Error(), c.refused)) {
				t.Errorf("packet, %s, with key %v: %v", c.name, k != nil, err)
			}
		}
	}
	f, _ := newGossipFilter(key)
	for name, b := range map[string][]byte{
		"in clear":             append(bytes.Clone(label), ping...),
		"with another key":     append(bytes.Clone(label), seal(other, ping, []byte(gossipLabel))...),
		"for another program":  append([]byte{gossipLabelled, 1, 'x'}, seal(key, ping, []byte("x"))...),
		"without a label":      seal(key, ping, nil),
		"with a label as such": append(bytes.Clone(label), seal(key, ping, []byte("x"))...),
	} {
		if err := f.packet(b); !errors.Is(err, errGossip) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGossipFilterOfStreams(t *testing.T) {
	key := gossipKey(gossipTestKey)
	label := append([]byte{gossipLabelled, byte(len(gossipLabel))}, gossipLabel...)
	sealed := func(plain []byte) []byte {
		size := 1 + nonceSize + len(plain) + 16
		header := binary.BigEndian.AppendUint32([]byte{gossipEncrypted}, uint32(size))
		return append(header, seal(key, plain, append(bytes.Clone(header), gossipLabel...))...)
	}
	pushPull := append([]byte{6}, make([]byte, 3000)...)
	for _, c := range []struct {
		name     string
		key      []byte
		labelled bool
		said     []byte
		refused  string
	}{
		{"clear, without a key", nil, true, append(bytes.Clone(label), pushPull...), ""},
		{"an answer", nil, false, pushPull, ""},
		{"sealed", key, true, append(bytes.Clone(label), sealed(pushPull)...), ""},
		{"a sealed answer", key, false, sealed(pushPull), ""},
		{"compressed, without a key", nil, true, append(bytes.Clone(label), bomb()...), "compressed"},
		{"compressed", key, true, append(bytes.Clone(label), sealed(bomb())...), "compressed"},
		{"a compressed answer", key, false, sealed(bomb()), "compressed"},
		{"in clear", key, true, append(bytes.Clone(label), pushPull...), "not encrypted"},
		{"without a label", key, true, sealed(pushPull), "label"},
		{"longer than it may be", key, false, []byte{gossipEncrypted, 0x7f, 0, 0, 0}, "longer"},
		{"with a broken seal", key, false, append(sealed(pushPull)[:100], sealed(pushPull)[99:]...), "another key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := newGossipFilter(c.key)
			if err != nil {
				t.Fatal(err)
			}
			here, there := net.Pipe()
			defer here.Close()
			go func() {
				there.Write(c.said)
				there.Close()
			}()
			r, err := f.stream(here, c.labelled)
			if (err == nil) != (c.refused == "") || err != nil && (!errors.Is(err, errGossip) || !strings.Contains(err.Error(), c.refused)) {
				t.Fatalf("refused with %v", err)
			}
			if err != nil {
				return
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, c.said) {
				t.Errorf("the library reads %d bytes of %d: %v", len(got), len(c.said), err)
			}
		})
	}
}

func FuzzGossipFilter(f *testing.F) {
	f.Add(append([]byte{gossipLabelled, 5, 'l', 'o', 'c', 'k', 'd'}, packed([]byte{0}, bomb()[:50])...))
	open, _ := newGossipFilter(nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := open.packet(b); err == nil && bytes.HasPrefix(b, open.prefix) && len(b) > len(open.prefix) && b[len(open.prefix)] == gossipCompressed {
			t.Error("compressed")
		}
	})
}

func FuzzGossipMeta(f *testing.F) {
	f.Add(gossiped{"a", "127.0.0.1:7600"}.encode())
	f.Add([]byte{metaVersion, 200, 'a'})
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := decodeMeta(b)
		if err != nil {
			return
		}
		if !bytes.Equal(g.encode(), b) || len(b) > memberlist.MetaMaxSize {
			t.Errorf("%q decodes to %+v", b, g)
		}
	})
}
