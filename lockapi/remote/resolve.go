package remote

import (
	"context"
	"net"
	"slices"
)

// places are the addresses of an endpoint, asked for anew each time: the nodes
// behind a name may be several, and move. Each is tried by itself, for one of
// them may be mute. An endpoint with one address keeps its name, as does one that
// does not resolve, which dialling will tell.
func (b *Backend) places(ctx context.Context, endpoint string) []string {
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil || net.ParseIP(host) != nil || b.options.lookup == nil {
		return []string{endpoint}
	}
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	hosts, err := b.options.lookup(ctx, host)
	if err != nil || len(hosts) < 2 {
		b.book.located(endpoint, []string{endpoint})
		return []string{endpoint}
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	var all []string
	for _, host := range hosts[:min(len(hosts), placesMax)] {
		all = append(all, net.JoinHostPort(host, port))
	}
	b.book.located(endpoint, all)
	return all
}
