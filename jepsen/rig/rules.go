//go:build linux

package rig

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
)

// A drop is what a host loses of what comes to it from another.
type drop struct {
	from, to int
	percent  int  // of the packets
	reset    bool // TCP is told so, instead of hearing nothing
	gossip   bool // only what nodes gossip
}

// rules are what one fault does to the network.
type rules struct {
	drops []drop
	// detours are ports on hosts: what is dialled from there to a node comes to
	// that port instead, unless it carries the mark.
	detours map[int]int
}

// detourMark is of the connections that make a detour already.
const detourMark = 78

// lay adds rules to those that others laid. lift takes them away.
func (w *wires) lay(more rules) (lift func() error, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	n := w.n
	w.laid[n] = more
	return func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.laid, n)
		return w.applyLocked()
	}, w.applyLocked()
}

// applyLocked replaces all rules of all hosts.
func (w *wires) applyLocked() error {
	for i := range w.hosts {
		args := w.in(i, "nft", "-f", "-")
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdin = strings.NewReader(w.rulesetLocked(i))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, out)
		}
	}
	return nil
}

func (w *wires) rulesetLocked(host int) string {
	var text strings.Builder
	text.WriteString("flush ruleset\ntable ip lockd {\n chain in { type filter hook input priority 0;\n")
	for _, n := range slices.Sorted(maps.Keys(w.laid)) {
		for _, d := range w.laid[n].drops {
			if d.to == host {
				text.WriteString(w.rule(d))
			}
		}
	}
	text.WriteString(" }\n")
	for _, n := range slices.Sorted(maps.Keys(w.laid)) {
		if at := w.laid[n].detours[host]; at > 0 {
			fmt.Fprintf(&text, " chain out { type nat hook output priority -100;\n  ip daddr %s/24 tcp dport %s meta mark != %d redirect to :%d\n }\n",
				w.address(0), port, detourMark, at)
			break
		}
	}
	text.WriteString("}\n")
	return text.String()
}

func (w *wires) rule(d drop) string {
	rule := "  ip saddr " + w.address(d.from)
	if d.gossip {
		rule += " meta l4proto { tcp, udp } th dport " + gossipPort
	}
	if d.percent < 100 {
		rule += fmt.Sprintf(" numgen random mod 100 < %d", d.percent)
	}
	if d.reset {
		return rule + " meta l4proto tcp reject with tcp reset\n"
	}
	return rule + " drop\n"
}
