package workload

import (
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"strings"
	"sync"
	"time"
)

// SharedWork is what applications in several processes do between reading and
// writing: they are there to be paused, and a pause that falls in between tells most.
const SharedWork = 6 * time.Millisecond

// ListenAddress is where a resource is to be shared: HOST:PORT, or the path of a
// Unix socket, which has a slash and reaches across network namespaces.
func ListenAddress(address string) (net.Listener, error) {
	return net.Listen(network(address), address)
}

func network(address string) string {
	if strings.Contains(address, "/") {
		return "unix"
	}
	return "tcp"
}

// Serve shares the resource with other processes until l is closed, and returns when
// the last of them has gone, too.
func (r *Resource) Serve(l net.Listener) error {
	server := rpc.NewServer()
	if err := server.RegisterName(shared, served{r}); err != nil {
		return err
	}
	var connected sync.WaitGroup
	defer connected.Wait()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the resource: %w", err)
		}
		connected.Go(func() { server.ServeConn(conn) })
	}
}

const shared = "Resource" // as net/rpc calls it

// served is a resource in the form that net/rpc wants.
type served struct{ r *Resource }

func (s served) Read(by Look, to *Reading) (err error) {
	*to, err = s.r.Read(by)
	return err
}

func (s served) Write(w Writing, _ *struct{}) error { return s.r.Write(w) }

func (s served) Tally(_ struct{}, to *Tally) (err error) {
	*to, err = s.r.Tally()
	return err
}

// A Shared is a resource that another process has. Any goroutine may use it.
type Shared struct{ client *rpc.Client }

// Share finds the resource that is served at an address. The error says so if there
// is none.
func Share(address string) (*Shared, error) {
	client, err := rpc.Dial(network(address), address)
	if err != nil {
		return nil, fmt.Errorf("no resource is shared there: %w", err)
	}
	return &Shared{client}, nil
}

// Read is Resource.Read. After an error the look may have been seen.
func (s *Shared) Read(by Look) (seen Reading, err error) {
	err = s.client.Call(shared+".Read", by, &seen)
	return seen, err
}

// Write is Resource.Write. After an error it may have been done.
func (s *Shared) Write(w Writing) error {
	return s.client.Call(shared+".Write", w, &struct{}{})
}

// Tally is what came of the resource so far, whoever used it.
func (s *Shared) Tally() (t Tally, err error) {
	err = s.client.Call(shared+".Tally", struct{}{}, &t)
	return t, err
}

// Close leaves the resource to others.
func (s *Shared) Close() error { return s.client.Close() }
