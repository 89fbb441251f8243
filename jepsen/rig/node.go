package rig

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// A Node is one `lockd serve`, through its lives.
type Node struct {
	ID      string
	Address string // where clients and nodes reach it
	args    []string
	disk    *disk
	log     *os.File

	mu      sync.Mutex // guards the fields below
	cmd     *exec.Cmd
	done    chan struct{} // closed when cmd has ended
	stopped bool          // SIGSTOP
	lives   int
}

// boot starts the node if it does not run.
func (n *Node) boot() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.runningLocked() {
		return nil
	}
	cmd := exec.Command(n.args[0], n.args[1:]...)
	cmd.Stdout, cmd.Stderr = n.log, n.log
	fmt.Fprintf(n.log, "--- life %d at %s\n", n.lives+1, time.Now().Format(time.RFC3339Nano))
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // how it ended is in its log
	}()
	n.cmd, n.done, n.stopped = cmd, done, false
	n.lives++
	return nil
}

func (n *Node) runningLocked() bool {
	if n.cmd == nil {
		return false
	}
	select {
	case <-n.done:
		return false
	default:
		return true
	}
}

// Running tells whether the process is there, be it stopped.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.runningLocked()
}

func (n *Node) signal(s syscall.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.runningLocked() {
		_ = n.cmd.Process.Signal(s)
		n.stopped = s == syscall.SIGSTOP
	}
}

// Said counts the lines of the node's log, in all its lives, that have a text.
func (n *Node) Said(text string) (int, error) {
	log, err := os.ReadFile(n.log.Name())
	return bytes.Count(log, []byte(text)), err
}

// kill is kill -9, and waits until the process is gone.
func (n *Node) kill() { n.end(syscall.SIGKILL, time.Minute) }

// end sends a signal and waits for the end, or kills.
func (n *Node) end(s syscall.Signal, patience time.Duration) {
	n.mu.Lock()
	done, running := n.done, n.runningLocked()
	n.mu.Unlock()
	if !running {
		return
	}
	n.signal(s)
	select {
	case <-done:
	case <-time.After(patience):
		n.signal(syscall.SIGKILL)
		<-done
	}
}
