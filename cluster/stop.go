package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

// closeTimeout bounds Close: a disk that hangs hangs raft with it, and what
// holds the disk can only be ended with the process.
const closeTimeout = 20 * time.Second

// fail latches the node: it answers nothing more, tells the others nothing
// more, and says why. It may be called from anywhere and does not block.
func (n *Node) fail(why error) {
	if !n.failure.CompareAndSwap(nil, &why) {
		return
	}
	n.cfg.Logger.Error("node stops", "why", why)
	go func() {
		<-n.opened
		n.end(why)
	}()
}

func (n *Node) hasFailed() bool { return n.failure.Load() != nil }

// end stops everything that speaks for the node, and answers who waits.
func (n *Node) end(why error) {
	n.endOnce.Do(func() {
		n.cancel()
		n.carrier.Close()
		n.listener.Close()
		n.leadership.stop()
		n.server.close()
		n.pendings.close(why)
		n.subs.close()
		close(n.done)
	})
}

// Done is closed when the node was closed or has stopped by itself.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err is why the node stopped by itself: it wraps ErrDiverged, ErrCorrupt,
// ErrStorage or ErrStuck, or says why the cluster does not take it. It is nil
// while the node works, and after a Close of a node that worked. A node that
// has stopped must still be closed.
func (n *Node) Err() error {
	if why := n.failure.Load(); why != nil {
		return *why
	}
	return nil
}

// Stop is the graceful Close: nobody waits for a timeout because of it. It hands
// the leadership over, takes no more commands (ErrUnavailable: it did nothing),
// leaves the gossip, waits until what it has taken is answered, and closes the
// node. Ready says meanwhile that it stops. The node stays a member, and its
// sessions live until their TTL. What does not succeed before ctx ends is logged
// and left: the others elect a leader, and commands are answered ErrUnknown. Its
// error is Close's. What clients need to go elsewhere (a server that tells them
// to) comes first.
func (n *Node) Stop(ctx context.Context) error {
	n.stopping.Store(true)
	if err := n.Transfer(ctx); err != nil {
		n.cfg.Logger.Warn("the others have to elect a leader", "error", err)
	}
	if n.gossip != nil {
		_ = n.gossip.leave() // they find out by themselves
	}
	if left := n.pendings.drain(ctx, n.done); left > 0 {
		n.cfg.Logger.Warn("stopping with commands unanswered", "commands", left)
	}
	// An election may have made it leader again.
	_ = n.Transfer(ctx)
	return n.Close()
}

// Close stops the node without a word to the others; see Stop for the
// graceful way. Commands that wait are answered ErrUnknown if they were sent;
// sessions live on until their TTL, and the node is a member as before. Its
// error is of the storage; after it the directory may be opened again.
func (n *Node) Close() error {
	n.closeOnce.Do(func() {
		n.end(lockapi.ErrClosed)
		n.closeErr = n.release()
	})
	return n.closeErr
}

// release lets go of what open has taken, in reverse. It is for a node whose
// parts have been told to end.
func (n *Node) release() error {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		// The reign first: a proposal that is under way when raft shuts down may
		// never be answered.
		n.parts.Wait()
		if n.raft != nil {
			_ = n.raft.Shutdown().Error()
		}
		close(n.watching)
		n.watcher.Wait()
	}()
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case <-stopped:
	case <-timer.C:
		return fmt.Errorf("%w: not closed within %v", ErrStorage, closeTimeout)
	}
	var err error
	if n.carrier != nil {
		err = errors.Join(err, n.carrier.Close())
	}
	if n.gossip != nil {
		n.gossip.close()
	}
	if n.listener != nil {
		_ = n.listener.Close()
	}
	if n.ownPort {
		err = errors.Join(err, n.port.Close())
	}
	if n.storage != nil {
		err = errors.Join(err, n.storage.Close())
	}
	if n.identity != nil {
		err = errors.Join(err, n.identity.Close())
	}
	return err
}
