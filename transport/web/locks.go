package web

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// lock answers for the name that segment encodes.
func (s *Server) lock(w http.ResponseWriter, r *http.Request, segment string) {
	parameters, err := parse(r, "stale")
	name, malformed := url.PathUnescape(segment)
	if err == nil && (malformed != nil || !fsm.ValidName(name)) {
		err = errors.New(fsm.LimitName.String())
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, done, ok := s.reading(w, r)
	if !ok {
		return
	}
	defer done()
	view, err := s.node.Inspect(ctx, lockapi.Query{Name: name, Stale: parameters.stale})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	found := fsm.LockView{Name: name} // idle, unless the view has it
	for _, l := range view.Locks {
		if l.Name == name {
			found = l
		}
	}
	asOf(w, &view)
	answer(w, http.StatusOK, lockapi.LockJSON(found))
}

func (s *Server) locks(w http.ResponseWriter, r *http.Request) {
	p, err := parse(r, "prefix", "after", "limit", "stale")
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, done, ok := s.reading(w, r)
	if !ok {
		return
	}
	defer done()
	view, err := s.node.Inspect(ctx, lockapi.Query{Prefix: p.prefix, After: p.after, Limit: p.limit, Stale: p.stale})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	asOf(w, &view)
	w.Header().Set("Content-Type", typeJSON)
	writePage(bufio.NewWriter(w), &view)
}

// writePage makes the text of one lock at a time: a page with long queues would
// be hundreds of megabytes at once. An error is that the client is gone.
func writePage(out *bufio.Writer, view *lockapi.View) {
	_, _ = out.WriteString(`{"locks":[`)
	for i := range view.Locks {
		if i > 0 {
			_ = out.WriteByte(',')
		}
		lock, err := json.Marshal(lockapi.LockJSON(view.Locks[i]))
		if err != nil {
			panic("web: " + err.Error()) // strings and numbers only
		}
		if _, err := out.Write(lock); err != nil {
			return
		}
	}
	fmt.Fprintf(out, "],\"more\":%t}\n", view.More)
	_ = out.Flush()
}

// asOf says when the answer was true.
func asOf(w http.ResponseWriter, view *lockapi.View) {
	w.Header().Set("Lockd-Applied-Index", strconv.FormatUint(uint64(view.Index), 10))
	w.Header().Set("Lockd-Machine-Time-Ms", strconv.FormatInt(int64(view.At)/int64(fsm.Millisecond), 10))
}

// parameters of a request, checked.
type parameters struct {
	prefix, after string
	limit         int
	stale         bool
}

// parse reads the query of r. A parameter that is not known is refused: with
// ?perfix=a a script would otherwise see every lock.
func parse(r *http.Request, known ...string) (p parameters, err error) {
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return p, fmt.Errorf("query: %w", err)
	}
	read := map[string]func(string) error{
		"prefix": func(v string) error { p.prefix = v; return partOfName(v) },
		"after":  func(v string) error { p.after = v; return partOfName(v) },
		"limit": func(v string) (err error) {
			if p.limit, err = strconv.Atoi(v); err != nil || p.limit < 1 || p.limit > pageMax {
				return fmt.Errorf("a number from 1 to %d", pageMax)
			}
			return nil
		},
		"stale": func(v string) (err error) {
			if p.stale, err = strconv.ParseBool(v); err != nil {
				return errors.New("true or false")
			}
			return nil
		},
	}
	p.limit = pageDefault
	for _, name := range known {
		values := given[name]
		delete(given, name)
		switch {
		case len(values) == 0 || len(values) == 1 && values[0] == "":
			continue
		case len(values) > 1:
			return p, fmt.Errorf("%s: given more than once", name)
		}
		if err := read[name](values[0]); err != nil {
			return p, fmt.Errorf("%s: %w is wanted", name, err)
		}
	}
	for name := range given {
		return p, fmt.Errorf("no such parameter: %q", name)
	}
	return p, nil
}

func partOfName(v string) error {
	if !fsm.ValidText(v, fsm.NameSizeMax) {
		return fmt.Errorf("at most %d bytes of UTF-8 without NUL", fsm.NameSizeMax)
	}
	return nil
}
