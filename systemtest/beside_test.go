//go:build system

package systemtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/lockd-io/lockd/systemtest/console"
	"golang.org/x/sys/unix"
)

// roundsEnv says how often tests try for two holders.
const (
	roundsEnv     = "SYSTEMTEST_ROUNDS"
	roundsDefault = 4
	// roundsAtOnce: most of a round is waiting for a TTL to pass.
	roundsAtOnce = 8
)

// besideTTL is of holders that are to lose their lock.
const besideTTL = "2s"

// A round is one holder and whoever comes next, both of whom write their tokens
// into one file for as long as they run: were they ever seen at once, an older
// token would stand behind a newer one.
type round struct {
	*testing.T
	c   *cluster
	n   int
	dir string
}

// roundsAsked is how often a test tries for two holders: as roundsEnv says, or as
// often as can be afforded each time.
func roundsAsked(t *testing.T, usual int) int {
	t.Helper()
	if asked := os.Getenv(roundsEnv); asked != "" {
		return int(number(t, asked))
	}
	return usual
}

// inRounds runs a test as often as is asked for, some at once.
func inRounds(t *testing.T, test func(r *round)) {
	rounds := roundsAsked(t, roundsDefault)
	c := startCluster(t)
	if err := os.Chmod(filepath.Dir(binary), 0o755); err != nil { // others run it, too
		t.Fatal(err)
	}
	free := make(chan struct{}, roundsAtOnce)
	t.Run("round", func(t *testing.T) {
		for n := range rounds {
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				t.Parallel()
				free <- struct{}{}
				defer func() { <-free }()
				r := &round{T: t, c: c, n: n, dir: openDir(t)}
				test(r)
				r.judge()
			})
		}
	})
}

// openDir is a directory that everybody may write to.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "beside")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (r *round) name() string { return fmt.Sprintf("%s/%d", strings.Split(r.Name(), "/")[0], r.n) }
func (r *round) log() string  { return filepath.Join(r.dir, "log") }
func (r *round) pid() string  { return filepath.Join(r.dir, "pid") }

// write is a shell's loop that writes its token as fast as it can.
func (r *round) write() string { return "while :; do echo $LOCKD_TOKEN >>" + r.log() + "; done" }

// next is who comes next: he writes a little, and ends.
func (r *round) next() *process {
	return r.c.run("--ttl", "10s", r.name(), "--", "sh", "-c",
		"i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $LOCKD_TOKEN >>"+r.log()+"; done")
}

func (r *round) await(what string, met func() bool) {
	r.Helper()
	eventually(r.T, fmt.Sprintf("%s: %s", r.name(), what), met)
}

// writes tells whether the first holder has written, and not just opened the file.
func (r *round) writes() bool {
	info, err := os.Stat(r.log())
	return err == nil && info.Size() > 0
}

// tokens are what was written, in order.
func (r *round) tokens() []uint64 {
	var all []uint64
	for _, field := range strings.Fields(readFile(r.T, r.log())) {
		all = append(all, number(r.T, field))
	}
	return all
}

// judge wants both to have written, and never the first after the second.
func (r *round) judge() {
	var holders []uint64
	for i, token := range r.tokens() {
		switch last := len(holders) - 1; {
		case last < 0 || token > holders[last]:
			holders = append(holders, token)
		case token < holders[last]:
			r.Errorf("two holders: write %d is of %d, after %d", i, token, holders[last])
			return
		}
	}
	if len(holders) != 2 {
		r.Errorf("%v have written", holders)
	}
}

// TestTerminalBesideNobody: a pager takes keys while the command writes; the job is
// stopped for longer than its TTL, and continued. No shape of a job lets its command
// write beside the next holder.
func TestTerminalBesideNobody(t *testing.T) {
	inRounds(t, func(r *round) {
		shell := []string{"bash", "dash"}[r.n/2%2]
		c := console.New(r.T, shell, "LOCKD="+binary, "LOCKD_ENDPOINTS="+r.c.endpoints())
		lines := "i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo line $i; done; "
		runner := "$LOCKD run --ttl " + besideTTL + " " + r.name() + " -- sh -c '" + lines + r.write() + "'"
		if r.n%2 == 0 {
			r.pager(c, runner)
			return
		}
		line := []string{runner, runner + " </dev/null", "sleep 600 | " + runner, runner + " | cat"}[r.n/4%4]
		c.Type(line + "\n")
		r.await("it writes", r.writes)
		next := r.next()
		c.Type(console.CtrlZ)
		c.Await("Stopped")
		if code := next.wait(r.T); code != 0 {
			r.Errorf("the next one exits %d", code)
		}
		c.Type("fg\n")
		r.await("nobody holds", func() bool { return len(r.c.show(r.name()).Holders) == 0 })
	})
}

// pager reads two pages, with more than a TTL between them, and leaves.
func (r *round) pager(c *console.Console, runner string) {
	c.Type(runner + " | less\n")
	c.Await("line 5")
	r.await("it writes", r.writes)
	c.Type(" ")
	c.Await("line 30")
	next := r.next()
	r.await("the next one waits", func() bool { return len(r.c.show(r.name()).Waiters) == 1 })
	r.await("a TTL passes", past(besideTTL))
	c.Type(" ")
	c.Await("line 55")
	if s := r.c.show(r.name()); len(s.Holders) != 1 || len(s.Waiters) != 1 {
		r.Errorf("while the pager shows, %+v", s)
	}
	c.Type("q")
	c.Type(console.CtrlC)
	if code := next.wait(r.T); code != 0 {
		r.Errorf("the next one exits %d", code)
	}
}

// TestSignalBesideNobody: a signal ends a command that has children which ignore it,
// and the lock is released under none of them.
func TestSignalBesideNobody(t *testing.T) {
	signals := []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGABRT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM}
	inRounds(t, func(r *round) {
		scripts := []string{
			r.write() + " & " + r.write(),
			"trap '' HUP; " + r.write() + " & trap 'exit 0' HUP INT; " + r.write(),
			"timeout 600 sh -c '" + r.write() + "' & " + r.write(),
			"(" + r.write() + ") & kill -STOP $$; " + r.write(),
		}
		sig := signals[r.n%len(signals)]
		holder := r.c.run("--ttl", "10s", r.name(), "--", "sh", "-c", "ulimit -c 0; "+scripts[r.n/2%len(scripts)])
		r.await("it writes", r.writes)
		next := r.next()
		r.await("the next one waits", func() bool { return len(r.c.show(r.name()).Waiters) == 1 })
		holder.signal(sig)
		holder.signal(unix.SIGCONT) // where somebody has stopped the command
		if code := next.wait(r.T); code != 0 {
			r.Errorf("the next one exits %d", code)
		}
		if code := holder.wait(r.T); code != 128+int(sig) && code != 0 {
			r.Errorf("%v: the holder exits %d:\n%s", sig, code, holder.log.String())
		}
	})
}

// nobody is an ordinary user.
const nobody = 65534

// setUID makes a program that anybody may run, and that runs a shell as root.
func setUID(t *testing.T, dir string) string {
	t.Helper()
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "like-sudo")
	if err := os.WriteFile(path, []byte(readFile(t, setpriv)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	return path
}

// runAs starts lockd run of a set-uid command that writes.
func (r *round) runAs(uid uint32, ttl string) *process {
	cmd := exec.Command(binary, "run", "--endpoints", r.c.endpoints(), "--ttl", ttl, r.name(), "--",
		setUID(r.T, r.dir), "--reuid", "0", "sh", "-c", "echo $$ >"+r.pid()+"; "+r.write())
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return start(r.T, cmd)
}

// command is the pid of what runAs has started.
func (r *round) command() int {
	r.await("it writes", r.writes)
	return int(number(r.T, readFile(r.T, r.pid())))
}

// TestSetUIDBesideNobody: a signal that does not reach a command of another user is
// told of, and the lock is held for as long as that command runs. Under sudo lockd run
// the command dies with its runner.
func TestSetUIDBesideNobody(t *testing.T) {
	inRounds(t, func(r *round) {
		if r.n%2 == 0 {
			holder := r.runAs(0, besideTTL)
			command := r.command()
			next := r.next()
			holder.signal(unix.SIGKILL)
			if code := next.wait(r.T); code != 0 {
				r.Errorf("the next one exits %d", code)
			}
			if unix.Kill(command, 0) == nil {
				r.Error("the command outlives its runner")
			}
			return
		}
		holder := r.runAs(nobody, besideTTL)
		command := r.command()
		defer unix.Kill(-command, unix.SIGKILL)
		next := r.next()
		holder.signal([]syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT}[r.n/2%3])
		r.await("it is told", func() bool { return strings.Contains(holder.log.String(), "does not reach the command") })
		r.await("a TTL passes", past(besideTTL))
		if s := r.c.show(r.name()); len(s.Holders) != 1 || len(s.Waiters) != 1 || !holder.running() {
			r.Errorf("the command runs, %+v", s)
		}
		_ = unix.Kill(-command, unix.SIGKILL) // as root
		if code := next.wait(r.T); code != 0 {
			r.Errorf("the next one exits %d", code)
		}
		if code := holder.wait(r.T); code != 128+int(unix.SIGKILL) {
			r.Errorf("the holder exits %d", code)
		}
		if text := holder.log.String(); !strings.Contains(text, "warning: ") || !strings.Contains(text, "is set-uid") {
			r.Errorf("it was not warned:\n%s", text)
		}
	})
}
