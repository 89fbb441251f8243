//go:build linux

package rig

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A Node is one `lockd serve`, through its lives.
type Node struct {
	ID      string
	Address string // where clients and nodes reach it
	args    []string
	disk    *volume
	log     *os.File
	Journal string // file of the states that it came to

	mu      sync.Mutex // guards the fields below
	more    []string   // flags of the next life
	cmd     *exec.Cmd
	done    chan struct{} // closed when cmd has ended
	stopped bool          // SIGSTOP
}

// also has the node start with some flags more from now on, and no others.
func (n *Node) also(flags ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.more = flags
}

// boot starts the node if it does not run.
func (n *Node) boot() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.runningLocked() {
		return nil
	}
	args := slices.Concat(n.args, n.more)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = listener{n.log}, n.log
	cmd.WaitDelay = time.Second // nothing of a process that is gone keeps its pipe open
	writeMark(n.log, lifeMark)
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // how it ended is in its log
		writeMark(n.log, overMark)
	}()
	n.cmd, n.done, n.stopped = cmd, done, false
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

func (n *Node) paused() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stopped
}

// pid is the process's number; 0 if there is none.
func (n *Node) pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.runningLocked() {
		return 0
	}
	return n.cmd.Process.Pid
}

// signal returns what is closed when the process that was told has ended.
func (n *Node) signal(s syscall.Signal) (gone <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.runningLocked() {
		over := make(chan struct{})
		close(over)
		return over
	}
	_ = n.cmd.Process.Signal(s)
	switch s {
	case syscall.SIGSTOP:
		n.stopped = true
	case syscall.SIGCONT:
		n.stopped = false
	}
	return n.done
}

// await waits for the end of a life, or brings it about.
func (n *Node) await(gone <-chan struct{}, patience time.Duration) {
	if n.paused() {
		patience = 0 // it cannot do what it was told
	}
	select {
	case <-gone:
	case <-time.After(patience):
		<-n.signal(syscall.SIGKILL)
	}
}

// end sends a signal and waits for the end, or kills.
func (n *Node) end(s syscall.Signal, patience time.Duration) { n.await(n.signal(s), patience) }

// settle waits until the node has opened its directory or has refused to. Whoever
// takes one that has only just begun for one that runs leaves it with a disk on which
// it never will.
func (n *Node) settle(patience time.Duration) {
	for end := time.Now().Add(patience); n.Running() && !n.opened() && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
}

// opened tells whether the node's last life has opened its directory, by its log.
func (n *Node) opened() bool {
	log, err := os.ReadFile(n.log.Name())
	return err == nil && bytes.Contains(log[max(0, bytes.LastIndex(log, []byte(markPrefix+lifeMark+" "))):], []byte("msg=started "))
}

// kill is kill -9, and waits until the process is gone.
func (n *Node) kill() { n.end(syscall.SIGKILL, time.Minute) }
