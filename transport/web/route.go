package web

import (
	"net/http"
	"strings"
)

// route finds who answers a path. It is no http.ServeMux, because that one
// cleans paths before it looks, and some names of locks would not survive it:
// "..", or "/".
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	probe := path == "/healthz" || path == "/readyz"
	switch {
	case !probe && !s.ours(r.Host):
		w.Header().Set("Connection", "close")
		fail(w, http.StatusMisdirectedRequest, "this node does not go by that name: use its address, or start it with that name in --advertise")
	case s.routeChange(w, r, path):
	case !reads(w, r):
	case path == "/healthz":
		s.healthz(w)
	case path == "/readyz":
		s.readyz(w)
	case path == "/":
		s.root(w, r)
	case path == "/metrics" && s.metrics != nil:
		if _, done, ok := s.reading(w, r); ok {
			defer done()
			s.metrics.ServeHTTP(w, r)
		}
	case path == "/v1/status":
		s.status(w, r)
	case path == "/v1/locks":
		s.locks(w, r)
	default:
		segment, oneLock := strings.CutPrefix(path, "/v1/locks/")
		switch {
		case oneLock && segment != "" && !strings.Contains(segment, "/"):
			s.lock(w, r, segment)
		case oneLock:
			fail(w, http.StatusNotFound, "a name is one segment of the path: write / in it as %2F")
		default:
			fail(w, http.StatusNotFound, "no such path; GET / lists them")
		}
	}
}

// routeChange finds who answers a request that changes something; false if the
// path is none of those.
func (s *Server) routeChange(w http.ResponseWriter, r *http.Request, path string) bool {
	parts := strings.Split(path, "/") // "", v1, locks, NAME, acquire
	if len(parts) < 3 || parts[1] != "v1" {
		return false
	}
	method, serve := http.MethodPost, s.acquire
	switch collection := parts[2]; {
	case collection == "sessions" && len(parts) == 3:
		s.change(w, r, method, "", s.openSession)
		return true
	case collection == "sessions" && len(parts) == 4:
		method, serve = http.MethodDelete, s.closeSession
	case len(parts) != 5:
		return false
	case collection == "sessions" && parts[4] == "renew":
		serve = s.renewSession
	case collection == "locks" && parts[4] == "acquire":
	case collection == "locks" && parts[4] == "release":
		serve = s.release
	case collection == "locks" && parts[4] == "extend":
		serve = s.extend
	default:
		return false
	}
	s.change(w, r, method, parts[3], serve)
	return true
}
