package rig

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// A network is hosts, each a namespace, on one bridge, which is in a namespace
// too, so that nothing of the machine's own network is touched. Host 0 is the
// clients'.
type network struct {
	prefix string
	hosts  int
	made   []string // namespaces
}

func command(args ...string) error {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func commands(all ...[]string) error {
	for _, args := range all {
		if err := command(args...); err != nil {
			return err
		}
	}
	return nil
}

func newNetwork(hosts int) (_ *network, err error) {
	w := &network{prefix: fmt.Sprintf("jp%d", os.Getpid()), hosts: hosts}
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

func (w *network) add(ns string) error {
	if err := command("ip", "netns", "add", ns); err != nil {
		return err
	}
	w.made = append(w.made, ns)
	return nil
}

func (w *network) remove() {
	for _, ns := range w.made {
		_ = command("ip", "netns", "del", ns)
	}
	w.made = nil
}

func (w *network) host(i int) string    { return fmt.Sprintf("%sh%d", w.prefix, i) }
func (w *network) address(i int) string { return fmt.Sprintf("10.78.0.%d", i+1) }

// in prefixes a command so that it runs on a host.
func (w *network) in(i int, args ...string) []string {
	return append([]string{"ip", "netns", "exec", w.host(i)}, args...)
}

// A drop is what a host loses of what comes to it from another.
type drop struct {
	from, to int
	percent  int  // of the packets
	reset    bool // TCP is told so, instead of hearing nothing
}

// lose replaces all rules of all hosts.
func (w *network) lose(drops []drop) error {
	for i := range w.hosts {
		rules := "flush ruleset\ntable inet cut {\n chain in { type filter hook input priority 0;\n"
		for _, d := range drops {
			if d.to != i {
				continue
			}
			rule := "  ip saddr " + w.address(d.from)
			if d.percent < 100 {
				rule += fmt.Sprintf(" numgen random mod 100 < %d", d.percent)
			}
			if d.reset {
				rule += " meta l4proto tcp reject with tcp reset\n"
			} else {
				rule += " drop\n"
			}
			rules += rule
		}
		args := w.in(i, "nft", "-f", "-")
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdin = strings.NewReader(rules + " }\n}\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, out)
		}
	}
	return nil
}
