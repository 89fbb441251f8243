package lockapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// An Opener opens the backend that a URL describes.
type Opener func(ctx context.Context, u *url.URL) (Backend, error)

// schemes is what Open chooses from. Backends register when they are imported.
var schemes struct {
	mu      sync.Mutex // guards openers
	openers map[string]Opener
}

// Register makes a backend available to Open under a scheme. Packages of
// backends call it from init; a second registration of a scheme panics.
func Register(scheme string, open Opener) {
	schemes.mu.Lock()
	defer schemes.mu.Unlock()
	if _, taken := schemes.openers[scheme]; taken || scheme == "" || open == nil {
		panic(fmt.Sprintf("lockapi: Register(%q) twice, or without a scheme or opener", scheme))
	}
	if schemes.openers == nil {
		schemes.openers = make(map[string]Opener)
	}
	schemes.openers[scheme] = open
}

// Open makes a client of the backend that rawURL names: its scheme says which
// (a backend registers when its package is imported), the rest is the
// backend's. The client's Close closes the backend. ctx is for opening only.
//
// Opening does not say that the service can be reached: what needs it waits
// for it. The error is ErrInvalid for a URL or options that cannot be used and
// ErrUnsupported for an unknown scheme.
func Open(ctx context.Context, rawURL string, o Options) (*Client, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("lockapi: open: %w", err)
	}
	u, err := parseURL(rawURL)
	if err != nil {
		if detail := new(url.Error); errors.As(err, &detail) {
			err = detail.Err // without the URL, which may have a password
		}
		return nil, fmt.Errorf("lockapi: open: %w: %w", ErrInvalid, err)
	}
	open, err := opener(u.Scheme)
	if err != nil {
		return nil, err
	}
	b, err := open(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("lockapi: open %s: %w", u.Redacted(), err)
	}
	c, err := New(b, o)
	if err != nil {
		_ = b.Close()
		return nil, err
	}
	c.owned = true
	return c, nil
}

func opener(scheme string) (Opener, error) {
	schemes.mu.Lock()
	defer schemes.mu.Unlock()
	if open := schemes.openers[scheme]; open != nil {
		return open, nil
	}
	known := strings.Join(slices.Sorted(maps.Keys(schemes.openers)), ", ")
	return nil, fmt.Errorf("lockapi: open: %w: no backend for the scheme %q (imported: %s)", ErrUnsupported, scheme, known)
}
