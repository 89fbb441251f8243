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
	case slashedChange(w, r, path):
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
		case oneLock && segment == "":
			fail(w, http.StatusNotFound, "which lock? a name is one segment of the path")
		case oneLock:
			slashed(w, "/v1/locks/", segment, "")
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

// slashed answers for a name with a / in it that was not escaped, and says how to
// write it.
func slashed(w http.ResponseWriter, before, name, after string) {
	fail(w, http.StatusNotFound, "a name is one segment of the path: write / in it as %2F: "+
		before+strings.ReplaceAll(name, "/", "%2F")+after)
}

// slashedChange answers a request that would change something of such a name; false
// if it is none.
func slashedChange(w http.ResponseWriter, r *http.Request, path string) bool {
	name, is := strings.CutPrefix(path, "/v1/locks/")
	if end := strings.LastIndexByte(name, '/'); is && end > 0 && r.Method == http.MethodPost {
		switch verb := name[end:]; verb {
		case "/acquire", "/release", "/extend":
			slashed(w, "/v1/locks/", name[:end], verb)
			return true
		}
	}
	return false
}
