package web

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// restrict tells browsers to make nothing of the answers.
func restrict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// reads tells whether a request only reads and has no body. It has answered
// already when it is false.
func reads(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		w.Header().Set("Connection", "close") // and let the body be
		fail(w, http.StatusMethodNotAllowed, "only GET and HEAD are served here")
	case r.ContentLength != 0:
		w.Header().Set("Connection", "close")
		fail(w, http.StatusRequestEntityTooLarge, "requests have no body here")
	default:
		return true
	}
	return false
}

// changes tells whether a request may change something: it has the method, says
// that it is JSON (a DELETE, about which a browser asks first in any case, only if it
// has a body), and comes from no web page but one of this node's own. A page
// of a stranger's can have a browser send a POST to any address, but not with this
// type, for which the browser asks first; and it says where it comes from. It has
// answered already when it is false.
func (s *Server) changes(w http.ResponseWriter, r *http.Request, method string) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Method != method:
		w.Header().Set("Allow", method)
		fail(w, http.StatusMethodNotAllowed, "only "+method+" is served here")
	case !ownOrigin(r):
		fail(w, http.StatusForbidden, "this request comes from a web page of another origin")
	case (method == http.MethodPost || r.ContentLength != 0) && kind != typeJSON:
		fail(w, http.StatusUnsupportedMediaType, "the body is JSON: send Content-Type: "+typeJSON)
	case s.agent == nil:
		fail(w, http.StatusNotImplemented, "this server only reads")
	default:
		return true
	}
	w.Header().Set("Connection", "close")
	return false
}

// ownOrigin tells whether a browser's request comes from a page of the very host
// and port that it was sent to, which ours has judged. That an origin is an address
// or has no dot says nothing here: a stranger's page may be at http://203.0.113.5,
// or at another port of this machine. What is no browser says no origin.
func ownOrigin(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	u, err := url.Parse(origins[0])
	return err == nil && len(origins) == 1 && u.Host != "" && strings.EqualFold(u.Host, r.Host)
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
