package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// A leaderWatcher has a channel that closes when who leads has changed. It is
// asked for first, and for who leads then.
type leaderWatcher interface{ LeaderChanges() <-chan struct{} }

// keepLooking tells streams who leads, while the server lives.
func (s *Server) keepLooking() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looking || s.status == nil || s.ctx.Err() != nil {
		return
	}
	s.looking = true
	s.work.Go(func() {
		ticker := time.NewTicker(leaderLook)
		defer ticker.Stop()
		for {
			var changed <-chan struct{}
			if s.changes != nil {
				changed = s.changes()
			}
			s.look(s.ctx)
			select {
			case <-s.ctx.Done():
				return
			case <-changed:
			case <-ticker.C:
			}
		}
	})
}

// look asks who leads, and tells every stream if that has changed.
func (s *Server) look(ctx context.Context) {
	if s.status == nil {
		return
	}
	now, err := s.status(ctx)
	if err != nil {
		now = lockapi.Status{} // it knows nobody; who it is stays
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := helloOf(now)
	if err != nil {
		h.Node, h.ClusterId = s.hello.GetNode(), s.hello.GetClusterId()
	}
	if !s.draining {
		serving := grpc_health_v1.HealthCheckResponse_NOT_SERVING
		if h.GetLeader() != "" {
			serving = grpc_health_v1.HealthCheckResponse_SERVING
		}
		s.health.SetServingStatus("", serving)
		s.health.SetServingStatus(lockdv1.Lockd_ServiceDesc.ServiceName, serving)
	}
	h.Draining = s.draining
	if !proto.Equal(h, s.hello) {
		s.spread(h)
	}
}

// spread tells every stream a new hello.
func (s *Server) spread(h *lockdv1.Hello) {
	s.hello = h
	for st := range s.streams {
		st.tell(h)
	}
}

// helloOf is what a stream is told of the cluster.
func helloOf(s lockapi.Status) *lockdv1.Hello {
	h := &lockdv1.Hello{ClusterId: s.ClusterID, Node: s.Node, Leader: s.Leader}
	for _, n := range s.Nodes {
		if n.Address == "" {
			continue
		}
		h.Addresses = append(h.Addresses, n.Address)
		if n.ID == s.Leader && s.Leader != "" {
			h.LeaderAddress = n.Address
		}
	}
	return h
}
