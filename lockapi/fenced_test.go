package lockapi

import (
	"context"
	"errors"
	"log/slog"
	"testing"
)

// nobody is a Backend that takes nothing.
type nobody struct{ Backend }

// A client that is fenced at any moment of an acquire begins no session of its own.
func TestFencedClientBeginsNothing(t *testing.T) {
	for range 5000 {
		c, err := New(nobody{}, Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		s := newSession(c)
		c.current = s
		fenced := make(chan struct{})
		go func() {
			defer close(fenced)
			s.end(ErrFenced)
		}()
		for err == nil {
			var got *session
			if got, err = c.summon(); err == nil && got != s {
				got.cancel(context.Canceled)
				t.Fatal("it has begun another")
			}
		}
		<-fenced
		if !errors.Is(err, ErrFenced) {
			t.Fatal(err)
		}
	}
}
