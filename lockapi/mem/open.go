package mem

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	"github.com/lockd-io/lockd/lockapi"
)

func init() { lockapi.Register("mem", (&house{machines: make(map[string]*machine)}).open) }

// A house has machines with names.
type house struct {
	mu       sync.Mutex // guards machines
	machines map[string]*machine
}

// open opens mem://NAME. What else a URL may have is refused: it would have no
// effect.
func (h *house) open(_ context.Context, u *url.URL) (lockapi.Backend, error) {
	if u.Opaque != "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("mem: %w: want mem://NAME", lockapi.ErrInvalid)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.machines[u.Host]
	if m == nil {
		m = newMachine()
		h.machines[u.Host] = m
	}
	return m.backend(), nil
}
