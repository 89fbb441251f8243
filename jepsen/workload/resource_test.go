package workload

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// A story is reads (r1: with token 1, by application 1), writes (w1: of what it read
// last) and what comes of them.
func tell(t *testing.T, r Guarded, story string) Tally {
	t.Helper()
	read := map[int]Reading{}
	for _, step := range strings.Fields(story) {
		var what byte
		var who int
		if _, err := fmt.Sscanf(step, "%c%d", &what, &who); err != nil {
			t.Fatal(step, err)
		}
		var err error
		switch what {
		case 'r':
			read[who], err = r.Read(Look{Client: who, Token: uint64(who)})
		case 'w':
			err = r.Write(Writing{Client: who, Token: uint64(who), Fenced: read[who].Fenced + 1, Unfenced: read[who].Unfenced + 1})
		default:
			t.Fatal(step)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tally, err := r.Tally()
	if err != nil {
		t.Fatal(err)
	}
	return tally
}

var stories = map[string]struct {
	story                    string
	refused, lost, twinsLost int
}{
	"one after the other":                   {"r1 w1 r1 w1 r2 w2", 0, 0, 0},
	"paused before it writes":               {"r1 r2 w2 r2 w2 r2 w2 w1", 1, 0, 3},
	"paused, and writes after it was read":  {"r1 r2 w1 w2", 1, 0, 1},
	"paused, and reads and writes on":       {"r1 w1 r2 w2 r1 w1", 1, 0, 0},
	"two paused":                            {"r1 r2 r3 w3 w1 w2", 2, 0, 2},
	"whoever was there first is late again": {"r1 w1 r2 w2 r1 r2 w2 w1", 1, 0, 1},
	// Two that believe at once, and have one token: no fence helps.
	"two with one token": {"r1 w1 r1 w1 w1", 0, 1, 1},
}

func TestResource(t *testing.T) {
	for name, s := range stories {
		got := tell(t, new(Resource), s.story)
		if got.Refused != s.refused || got.Lost() != s.lost || got.TwinLost() != s.twinsLost {
			t.Errorf("%s: %s gives %v", name, s.story, got)
		}
	}
}

func TestOvertakenIsSeen(t *testing.T) {
	r := new(Resource)
	tell(t, r, "r1 w1 r2")
	var last uint64
	for _, token := range []uint64{1, 2, 3, 2} {
		got, err := r.Read(Look{Client: 9, Token: token})
		overtaken := token == 1 || last == 3
		last = token
		if err != nil || got.Overtaken != overtaken || got.Fenced != 1 {
			t.Errorf("token %d sees %+v, %v", token, got, err)
		}
	}
}

func TestAtWork(t *testing.T) {
	r := new(Resource)
	for _, s := range []struct {
		story string
		who   int
	}{{"", 0}, {"r1", 1}, {"r1 w1", 0}, {"r1 r2", 2}, {"r3 r4 w3", 4}, {"r4 w4", 0}} {
		if got := tell(t, r, s.story); got.AtWork != s.who {
			t.Errorf("%q leaves %d at work", s.story, got.AtWork)
		}
	}
}

// Another process sees the same resource.
func TestShared(t *testing.T) {
	defer goleak.VerifyNone(t)
	for _, address := range []string{"127.0.0.1:0", filepath.Join(t.TempDir(), "resource")} {
		l, err := ListenAddress(address)
		if err != nil {
			t.Fatal(err)
		}
		resource, served := new(Resource), make(chan error, 1)
		go func() { served <- resource.Serve(l) }()
		one, two := share(t, l), share(t, l)
		if got := tell(t, one, "r1 r2 w2 w1"); got.Refused != 1 || got.TwinLost() != 1 {
			t.Error(got)
		}
		seen, err := two.Read(Look{Client: 3, Token: 3})
		if want := (Reading{Fenced: 1, Unfenced: 1}); err != nil || seen != want {
			t.Errorf("%+v, %v", seen, err)
		}
		if err := errors.Join(l.Close(), one.Close(), two.Close(), <-served); err != nil {
			t.Error(err)
		}
		if _, err := two.Read(Look{Client: 3, Token: 3}); err == nil {
			t.Error("read after Close")
		}
		if _, err := Share(l.Addr().String()); err == nil {
			t.Error("shared by nobody")
		}
	}
}

func share(t *testing.T, l net.Listener) *Shared {
	t.Helper()
	s, err := Share(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return s
}
