package transport

import (
	"strings"
	"testing"
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		head    string
		want    Protocol
		decided bool
	}{
		{"", Unknown, false},
		{"L", Unknown, false},
		{"LKD", Unknown, false},
		{"LKD1", Node, true},
		{"LKD1R\x01\x02", Node, true},
		{"LKD2", Unknown, true},
		{preface, GRPC, true},
		{preface[:23], Unknown, false},
		{"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n", Unknown, true},
		{"P", Unknown, false},
		{"GET / HTTP/1.1\r\n", HTTP, true},
		{"GET", Unknown, false},
		{"GETX", Unknown, true},
		{"POST / HTTP/1.1\r\n", HTTP, true},
		{"OPTIONS *", HTTP, true},
		{"get /", Unknown, true},
		{"*", RESP, true},
		{"*1\r\n$4\r\nPING\r\n", RESP, true},
		{"PING\r\n", Unknown, true},
		{"Host: x\r\n", Unknown, true},
		{"\x16", Unknown, false},
		{"\x16\x03\x01", TLS, true},
		{"\x00", Unknown, true},
		{"SSH-2.0-x", Unknown, true},
	} {
		if p, decided := classify([]byte(c.head)); p != c.want || decided != c.decided {
			t.Errorf("classify(%q) = %v, %v; want %v, %v", c.head, p, decided, c.want, c.decided)
		}
	}
}

// TestSignatures: no signature is a prefix of another, and none is longer than
// what is read, or the order of the table would decide.
func TestSignatures(t *testing.T) {
	for i, a := range signatures {
		if len(a.first) > SniffSizeMax {
			t.Errorf("%q does not fit into %d bytes", a.first, SniffSizeMax)
		}
		for j, b := range signatures {
			if i != j && strings.HasPrefix(a.first, b.first) {
				t.Errorf("%q begins with %q", a.first, b.first)
			}
		}
	}
}

func TestProtocolString(t *testing.T) {
	if got := GRPC.String() + " " + Protocol(99).String(); got != "grpc protocol 99" {
		t.Error(got)
	}
}

// FuzzClassify: the answer does not depend on how the bytes were cut, comes
// within SniffSizeMax, and POST is never RESP.
func FuzzClassify(f *testing.F) {
	for _, s := range signatures {
		f.Add([]byte(s.first + "more"))
	}
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\n\r\n*1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, decided := classify(b)
		if !decided && len(b) >= SniffSizeMax {
			t.Fatalf("not decided after %d bytes", len(b))
		}
		for n := range b {
			if p, d := classify(b[:n]); d && (!decided || p != whole) {
				t.Fatalf("%q is %v, but %q is %v", b[:n], p, b, whole)
			}
		}
		if whole == RESP && b[0] != '*' {
			t.Fatalf("%q came to RESP", b)
		}
	})
}
