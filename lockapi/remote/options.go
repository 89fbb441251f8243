package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"

	"github.com/lockd-io/lockd/lockapi"
)

// Scheme is what a URL of this backend begins with.
const Scheme = "lockd"

// Options is how a Backend behaves; its zero works.
type Options struct {
	// Spread takes any node rather than the leader, so that many clients share
	// the work of answering. Commands take one hop more.
	Spread bool
	// Logger hears of links made and lost. nil is silent.
	Logger *slog.Logger
	// Dial connects to HOST:PORT, names included. nil is TCP, to each address of a
	// name.
	Dial func(ctx context.Context, address string) (net.Conn, error)

	// lookup finds the addresses of a name. nil: Dial does.
	lookup func(ctx context.Context, host string) ([]string, error)
}

// openURL opens lockd://HOST:PORT,HOST:PORT?spread=1.
func openURL(_ context.Context, u *url.URL) (lockapi.Backend, error) {
	var o Options
	for key, values := range u.Query() {
		value := values[len(values)-1]
		switch {
		case key == "spread" && (value == "" || value == "1" || value == "true"):
			o.Spread = true
		case key == "spread" && (value == "0" || value == "false"):
		default:
			return nil, fmt.Errorf("%w: unknown option %s=%s in the URL", lockapi.ErrInvalid, key, value)
		}
	}
	if u.User != nil || u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("%w: a URL of this scheme has no user and no path", lockapi.ErrInvalid)
	}
	return Open(strings.Split(u.Host, ","), o)
}

// checked reports all that is wrong with the endpoints.
func checked(endpoints []string) error {
	var wrong []error
	if len(endpoints) == 0 {
		wrong = append(wrong, errors.New("no endpoint"))
	}
	if len(endpoints) > endpointsMax {
		wrong = append(wrong, fmt.Errorf("%d endpoints, at most %d", len(endpoints), endpointsMax))
	}
	for _, e := range endpoints {
		if host, port, err := net.SplitHostPort(e); err != nil || host == "" || port == "" {
			wrong = append(wrong, fmt.Errorf("endpoint %q is not HOST:PORT", e))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", lockapi.ErrInvalid, errors.Join(wrong...))
}
