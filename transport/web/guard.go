package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// restrict lets through what only reads and has no body, and tells browsers to
// make nothing of the answers.
func restrict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			h.Set("Connection", "close") // and let the body be
			fail(w, http.StatusMethodNotAllowed, "only GET and HEAD are served")
		case r.ContentLength != 0:
			h.Set("Connection", "close")
			fail(w, http.StatusRequestEntityTooLarge, "requests have no body here")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// ours tells whether no stranger can own the name that a request was sent to: it
// is an address, localhost, one without a dot (no such name can be had), or
// listed. A page of evil.example in a browser can have that name point to this
// node's address, and is then of the same origin as this server; but its requests
// still say evil.example.
func (s *Server) ours(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return s.hosts["*"] || s.hosts[host] || host != "" && !strings.Contains(host, ".") ||
		strings.HasSuffix(host, ".localhost")
}
