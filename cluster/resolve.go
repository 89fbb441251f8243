package cluster

import (
	"context"
	"net"
)

// resolvedMax bounds the addresses of one name that are called: far above the
// nodes of any cluster.
const resolvedMax = 16

// resolved are the addresses of a name, asked anew each time: several nodes may
// have one name, and move. What does not resolve, and what is no name, is left as
// it is.
func resolved(ctx context.Context, address string) []string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || net.ParseIP(host) != nil {
		return []string{address}
	}
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	hosts, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil || len(hosts) == 0 {
		return []string{address}
	}
	return eachOf(hosts, port)
}

func eachOf(hosts []string, port string) (all []string) {
	for _, host := range hosts[:min(len(hosts), resolvedMax)] {
		all = append(all, net.JoinHostPort(host, port))
	}
	return all
}
