package lockapi

import (
	"net/url"
	"strings"
)

// parseURL is url.Parse for an authority that may be a list, HOST:PORT,HOST:PORT.
// It is split at its commas first, since the brackets of IPv6 are those of a single
// host to url.Parse. The list is the URL's Host.
func parseURL(raw string) (*url.URL, error) {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found {
		return url.Parse(raw)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndex(rest[:end], "@") + 1 // behind a user
	hosts := strings.Split(rest[at:end], ",")
	u, err := url.Parse(scheme + "://" + rest[:at] + hosts[0] + rest[end:])
	if err != nil {
		return nil, err
	}
	for _, host := range hosts[1:] {
		one, err := url.Parse(scheme + "://" + host)
		if err != nil {
			return nil, err
		}
		u.Host += "," + one.Host
	}
	return u, nil
}
