package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

// TestUnreached: who gives up learns what was wrong with each endpoint.
func TestUnreached(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: fmt.Errorf("connect: %w", syscall.ECONNREFUSED)}
	for _, tc := range []struct {
		second          error
		text            string
		failed, refused bool
	}{
		{refused, "b:1: connection refused", true, true},
		{&net.OpError{Op: "dial", Err: errors.New("no route")}, "b:1: no route", true, false},
		{io.ErrUnexpectedEOF, "b:1: unexpected EOF", true, false},
		{context.DeadlineExceeded, "b:1: no answer", true, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			b, err := Open([]string{"a:1", "b:1"}, Options{Dial: func(_ context.Context, address string) (net.Conn, error) {
				if address == "a:1" {
					return nil, refused
				}
				return nil, tc.second
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, inspected := b.Inspect(ctx, lockapi.Query{Name: "x"})
			for _, err := range []error{b.Reach(ctx), inspected} {
				var u *UnreachedError
				if !errors.As(err, &u) || !errors.Is(err, lockapi.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				if u.Failed() != tc.failed || u.Refused() != tc.refused || len(u.Endpoints) != 2 {
					t.Errorf("%+v", u)
				}
				if s := err.Error(); !strings.Contains(s, "(a:1: connection refused; "+tc.text+")") {
					t.Error(s)
				}
			}
		})
	}
}

// TestUnreachedYet: nothing is said of an endpoint of which nothing is known.
func TestUnreachedYet(t *testing.T) {
	b := newBook([]string{"a:1", "b:1"})
	b.note("a:1", io.EOF)
	b.note("c:1", io.EOF) // learnt, not given
	u := &UnreachedError{Endpoints: b.failures(), cause: context.Canceled}
	if s := u.Error(); u.Failed() || u.Refused() || !strings.Contains(s, "(a:1: EOF)") || len(b.failed) != 1 {
		t.Error(s, b.failed)
	}
	b.note("a:1", nil)
	u.Endpoints = b.failures()
	if s := u.Error(); strings.Contains(s, "(") {
		t.Error(s)
	}
}
