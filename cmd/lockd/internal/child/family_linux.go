package child

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A relative is a process as /proc shows it.
type relative struct {
	pid, parent, group, session int
	state                       byte
}

// relatives are all processes that live, by pid. Where /proc does not show
// them there are none.
func relatives() map[int]relative {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	all := map[int]relative{}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // it has ended
		}
		// The name in parentheses may contain any byte.
		f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(f) < 4 || f[0][0] == 'Z' || f[0][0] == 'X' {
			continue
		}
		r := relative{pid: pid, state: f[0][0]}
		for i, field := range []*int{&r.parent, &r.group, &r.session} {
			*field, _ = strconv.Atoi(string(f[i+1]))
		}
		all[pid] = r
	}
	return all
}

// alone tells whether this process is known to have its group to itself.
func alone(group int) bool {
	all := relatives()
	for _, r := range all {
		if r.group == group && r.pid != os.Getpid() {
			return false
		}
	}
	return len(all) > 0
}

// signalOthers reaches the rest of this process's group.
func signalOthers(group int, sig unix.Signal) {
	for _, r := range relatives() {
		if r.group == group && r.pid != os.Getpid() {
			_ = unix.Kill(r.pid, sig)
		}
	}
}

// family is what lives of the command: who descends from this process and has
// not left its session.
func (p *process) family() []relative {
	all := relatives()
	self := os.Getpid()
	var family []relative
	for _, r := range all {
		if r.session != all[self].session || r.pid == self {
			continue
		}
		// A parent that ended while /proc was read is not found, and its
		// child not counted: the group at least is known without.
		up := r
		for range len(all) {
			if up.parent == self || up.parent == 0 {
				break
			}
			up = all[up.parent]
		}
		if up.parent == self || r.group == p.pid {
			family = append(family, r)
		}
	}
	return family
}

// kill sends SIGKILL to all of the command. left tells how many still lived when
// it came, refused how many of them this user may not kill. Who has lost his
// parent by it is found the next time.
func (p *process) kill() (left, refused int) {
	err := p.signalGroup(unix.SIGKILL) // all at once, so that none can beget another
	for _, r := range p.family() {
		left++
		if errors.Is(p.send(r.pid, unix.SIGKILL), unix.EPERM) {
			refused++
		}
	}
	if errors.Is(err, unix.EPERM) && left == 0 && !p.over() {
		return 1, 1 // /proc does not show the processes of others
	}
	return left, refused
}

// left is how many live of the command.
func (p *process) left() int { return len(p.family()) }

// terminate sends SIGTERM to all of the command, and tells how many that were.
func (p *process) terminate() (left int) {
	family := p.family()
	for _, r := range family {
		_ = p.send(r.pid, unix.SIGTERM)
		_ = p.send(r.pid, unix.SIGCONT) // a stopped one could not end
	}
	return len(family)
}

// refusedPatience is for who may not be stopped by this user, but is being stopped
// from the terminal; stopPatience for who was sent SIGSTOP and waits for his turn.
// He runs no more of his program, but may be in a system call.
const refusedPatience, stopPatience = 250 * time.Millisecond, 2 * time.Second

// freeze stops all of the command, and tells whether all of it is. What was
// stopped before in a group of its own, as a job of a shell, stays so when the
// others are thawed.
func (p *process) freeze() bool {
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		_ = p.signalGroup(unix.SIGSTOP)
		running, refused := 0, 0
		for _, r := range p.family() {
			if r.state == 'T' || r.state == 't' {
				continue
			}
			running++
			if err := p.send(r.pid, unix.SIGSTOP); errors.Is(err, unix.EPERM) {
				refused++
			} else if r.group != p.pid {
				p.frozen = append(p.frozen, r.pid)
			}
		}
		took := time.Since(start)
		switch {
		case running == 0:
			return true
		case refused > 0 && took > refusedPatience:
			return false
		case refused == 0 && took > stopPatience:
			return true
		}
	}
}

// thaw continues what freeze has stopped.
func (p *process) thaw() {
	_ = p.signalGroup(unix.SIGCONT)
	for _, pid := range p.frozen {
		_ = p.send(pid, unix.SIGCONT)
	}
	p.frozen = nil
}
