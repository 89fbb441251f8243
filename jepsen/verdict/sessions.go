package verdict

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/lockd-io/lockd/jepsen/history"
)

// A span is when a session may have ended.
type span struct {
	session uint64
	ttl     int64
	client  int
	alive   int64 // the last call of its that was acknowledged
	by      int64 // when somebody was told that it is over; MaxInt64 if nobody was
	closed  bool  // it was ended by its own client, and that was acknowledged
	closing int64 // when that client asked
	last    int64 // the last answer to what it asked for; MaxInt64 if there is none
	grants  int   // that it was given and did not give back
}

// spans are the sessions of a history. A session lives a whole TTL from the call
// of whatever it had acknowledged last: each of its commands renews it.
func spans(h history.History) map[uint64]*span {
	all := make(map[uint64]*span)
	for i := range h {
		if o := &h[i]; o.Kind == history.Open && o.Status == history.OK {
			all[o.Session] = &span{session: o.Session, ttl: o.TTL, client: o.Client, alive: o.Call, by: math.MaxInt64}
		}
	}
	for i := range h {
		o := &h[i]
		s := all[o.Session]
		s.does(o)
		switch {
		case s == nil || o.Status == history.Unknown || o.Code == history.Unavailable:
		case o.Kind == history.Close && o.Code == history.NoSession:
			// It was sent before and has ended the session, or came too late: nobody knows.
		case o.Kind == history.Ended, o.Status == history.Fail && o.Code == history.NoSession:
			s.by = min(s.by, o.Return)
		case o.Kind == history.Close && o.Status == history.OK:
			s.closed, s.closing = true, o.Call
		case o.Kind != history.Loss && o.Kind != history.Inspect: // whoever looks speaks for no session
			s.alive = max(s.alive, o.Call)
		}
	}
	return all
}

// does notes what an operation leaves the session with.
func (s *span) does(o *history.Op) {
	if s == nil {
		return
	}
	s.last = max(s.last, o.End())
	switch {
	case o.Status != history.OK:
	case o.Kind == history.Acquire:
		s.grants++
	case o.Kind == history.Release:
		s.grants--
	}
}

// expiries puts an end into the history for each session that may have come to
// one by itself, in the interval in which that was right: not before its TTL,
// less the share drift of it by which clocks may differ, from the last call that
// was acknowledged, and not after somebody was told. An end that came earlier
// then has no place in any order. What is found already are sessions of which
// that interval is empty.
func expiries(h history.History, drift float64) (history.History, []Finding) {
	var found []Finding
	next := 0
	kept := make(history.History, 0, len(h))
	for i := range h {
		next = max(next, h[i].ID+1)
		if h[i].Kind == history.Ended {
			continue
		}
		o := h[i]
		if o.Doubtful() {
			o.Status = history.Unknown // that its session is over then is in the spans
		}
		kept = append(kept, o)
	}
	all := spans(h)
	for _, id := range slices.Sorted(maps.Keys(all)) {
		s := all[id]
		if s.closed && s.by < s.closing {
			found = append(found, Finding{What: fmt.Sprintf("session %d was closed by its client after it was over", id)})
		}
		if s.closed || s.ttl == 0 {
			continue
		}
		earliest := s.alive + int64(float64(s.ttl)*(1-drift))
		if s.by == math.MaxInt64 && s.last <= earliest && s.grants == 0 {
			continue // it changes nothing; where each lock is a session, there are thousands of these
		}
		end := history.Op{ID: next, Client: s.client, Kind: history.Ended, Session: id, Call: earliest, Status: history.Unknown}
		next++
		if s.by < math.MaxInt64 {
			end.Status, end.Return = history.OK, s.by
			if s.by < earliest {
				found = append(found, Finding{What: fmt.Sprintf(
					"session %d had %.3f s of its TTL left when it was over", id, float64(earliest-s.by)/1e9)})
				end.Call = s.by
			}
		}
		kept = append(kept, end)
	}
	return kept, found
}
