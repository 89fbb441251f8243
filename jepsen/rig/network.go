//go:build linux

package rig

import (
	"fmt"
	"os"
	"sync"
)

// Wires connect hosts, each a namespace, by one bridge, which is in a namespace
// too, so that nothing of the machine's own network is touched. Host 0 is the
// clients'.
type wires struct {
	prefix string
	hosts  int
	made   []string // namespaces

	mu   sync.Mutex // guards the fields below
	laid map[int]rules
	n    int
}

func newWires(hosts int) (_ *wires, err error) {
	w := &wires{prefix: fmt.Sprintf("jp%d", os.Getpid()), hosts: hosts, laid: make(map[int]rules)}
	defer func() {
		if err != nil {
			w.remove()
		}
	}()
	bridge := w.prefix + "b"
	if err := w.add(bridge); err != nil {
		return nil, err
	}
	err = commands(
		[]string{"ip", "-n", bridge, "link", "add", "br0", "type", "bridge"},
		[]string{"ip", "-n", bridge, "link", "set", "br0", "up"},
	)
	if err != nil {
		return nil, err
	}
	for i := range hosts {
		ns, outer := w.host(i), fmt.Sprintf("p%d", i)
		if err := w.add(ns); err != nil {
			return nil, err
		}
		err = commands(
			[]string{"ip", "-n", ns, "link", "add", "eth0", "type", "veth", "peer", "name", outer, "netns", bridge},
			[]string{"ip", "-n", bridge, "link", "set", outer, "master", "br0", "up"},
			[]string{"ip", "-n", ns, "addr", "add", w.address(i) + "/24", "dev", "eth0"},
			[]string{"ip", "-n", ns, "link", "set", "eth0", "up"},
			[]string{"ip", "-n", ns, "link", "set", "lo", "up"},
		)
		if err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *wires) add(ns string) error {
	if err := command("ip", "netns", "add", ns); err != nil {
		return err
	}
	w.made = append(w.made, ns)
	return nil
}

func (w *wires) remove() {
	for _, ns := range w.made {
		_ = command("ip", "netns", "del", ns)
	}
	w.made = nil
}

func (w *wires) host(i int) string    { return fmt.Sprintf("%sh%d", w.prefix, i) }
func (w *wires) address(i int) string { return fmt.Sprintf("10.78.0.%d", i+1) }

// in prefixes a command so that it runs on a host.
func (w *wires) in(i int, args ...string) []string {
	return append([]string{"ip", "netns", "exec", w.host(i)}, args...)
}
