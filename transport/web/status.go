package web

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"

	"github.com/lockd-io/lockd/lockapi"
)

func (s *Server) healthz(w http.ResponseWriter) {
	text(w, http.StatusOK, "ok\n")
}

func (s *Server) readyz(w http.ResponseWriter) {
	if err := s.node.Ready(); err != nil {
		text(w, http.StatusServiceUnavailable, fmt.Sprintf("not ready: %v\n", err))
		return
	}
	text(w, http.StatusOK, "ready\n")
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	ctx, done, ok := s.reading(w, r)
	if !ok {
		return
	}
	defer done()
	status, err := s.node.Status(ctx)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	if status.Nodes == nil {
		status.Nodes = []lockapi.NodeStatus{} // a list is never null
	}
	answer(w, http.StatusOK, status)
}

// root is for people.
func (s *Server) root(w http.ResponseWriter, r *http.Request) {
	ctx, done, ok := s.reading(w, r)
	if !ok {
		return
	}
	defer done()
	var page bytes.Buffer
	page.WriteString("lockd\n\n")
	if status, err := s.node.Status(ctx); err != nil {
		fmt.Fprintf(&page, "status   not known: %v\n", err)
	} else {
		fmt.Fprintf(&page, "node     %s\n", status.Node)
		fmt.Fprintf(&page, "leader   %s\n", cmp.Or(status.Leader, "none"))
		fmt.Fprintf(&page, "cluster  %s\n", cmp.Or(status.ClusterID, "none yet"))
		fmt.Fprintf(&page, "applied  %d, term %d\n", status.AppliedIndex, status.Term)
	}
	page.WriteString(paths)
	text(w, http.StatusOK, page.String())
}

const paths = `
GET /healthz           200 while this process serves
GET /readyz            200 once this node can take commands
GET /metrics           counters, for Prometheus
GET /v1/status         the cluster, as JSON
GET /v1/locks          locks, a page at a time: ?prefix= &after= &limit= &stale=
GET /v1/locks/{name}   one lock; write / in a name as %2F

POST /v1/locks/{name}/acquire   {"mode","permits","limit","wait_ms","max_hold_ms","session"}
POST /v1/locks/{name}/release   {"grant","session"}
POST /v1/locks/{name}/extend    {"grant","max_hold_ms","session"}
POST /v1/sessions               {"ttl_ms","label"}
POST /v1/sessions/{id}/renew    {"seen"}
DELETE /v1/sessions/{id}
`

func text(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", typeText)
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body)
}
