//go:build system

package systemtest

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/remote"
)

// A refusal is one input that must be refused: what came of it, and what it said.
type refusal struct {
	name    string
	try     func(t *testing.T) (outcome, message string)
	outcome string
	says    string // what to do, or what is wrong
}

// refusing tries each input, and wants after each that the cluster serves and that
// what was held before is held with the same token. It prints the table.
func refusing(t *testing.T, c *cluster, refusals []refusal) {
	t.Helper()
	holder, _, release := c.holdingRun("before", "30s")
	before := c.show("before").Holders[0]
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "INPUT\tOUTCOME\tMESSAGE")
	for _, r := range refusals {
		t.Run(strings.ReplaceAll(r.name, " ", "_"), func(t *testing.T) {
			outcome, message := r.try(t)
			message = strings.Join(strings.Fields(message), " ")
			if outcome != r.outcome || !strings.Contains(message, r.says) {
				t.Errorf("%s: %s: %s\nwanted %s: ...%s...", r.name, outcome, message, r.outcome, r.says)
			}
			if now := c.show("before").Holders; len(now) != 1 || now[0] != before {
				t.Errorf("%s: %+v is held by %+v now", r.name, before, now)
			}
			fmt.Fprintf(w, "%s\t%s\t%.150s\n", r.name, outcome, message)
		})
	}
	_ = w.Flush()
	t.Logf("after each, the lock that was held before is held with the same token:\n%s", &table)
	release()
	if code := holder.wait(t); code != 0 {
		t.Errorf("the holder exits %d", code)
	}
}

// command runs lockd to its end.
func command(args ...string) func(*testing.T) (string, string) {
	return func(t *testing.T) (string, string) {
		t.Helper()
		p := start(t, exec.Command(binary, args...))
		return fmt.Sprintf("exit %d", p.wait(t)), p.log.String()
	}
}

// What a user can say wrongly to a cluster that works.
func TestBadInputToACluster(t *testing.T) {
	c := startCluster(t)
	rooms := start(t, exec.Command(binary, "run", "--endpoints", c.endpoints(), "--permits", "1", "--limit", "3", "rooms", "--", "sleep", "600"))
	eventually(t, "the semaphore is in use", func() bool { return len(c.show("rooms").Holders) == 1 })
	run := func(args ...string) func(*testing.T) (string, string) {
		return command(append(append([]string{"run", "--endpoints", c.endpoints()}, args...), "--", "true")...)
	}
	post := func(path, body string, headers ...string) func(*testing.T) (string, string) {
		return func(t *testing.T) (string, string) {
			status, answer := curl(t, c.nodes[0], path, body, headers...)
			return fmt.Sprintf("HTTP %s %v", status, answer["code"]), fmt.Sprint(answer["error"])
		}
	}
	const secret = "Lockd-Session-Secret: 00000000000000000000000000000000000000000000000000000000000000ff"
	refusing(t, c, []refusal{
		{"an empty name", run(""), "exit 64", "1..512 bytes"},
		{"a long name", run(strings.Repeat("n", 513)), "exit 64", "1..512 bytes"},
		{"a name that is not UTF-8", run("\xff"), "exit 64", "UTF-8"},
		{"an empty name over HTTP", post("/v1/locks//acquire", `{"max_hold_ms":1000}`), "HTTP 400 invalid", "1..512 bytes"},
		{"a name that is not UTF-8 over HTTP", post("/v1/locks/%ff/acquire", `{"max_hold_ms":1000}`), "HTTP 400 invalid", "UTF-8"},
		{"a TTL too short", run("--ttl", "100ms", "a"), "exit 64", "500ms..24h"},
		{"a TTL too long", run("--ttl", "25h", "a"), "exit 64", "500ms..24h"},
		{"a TTL out of range over HTTP", post("/v1/sessions", `{"ttl_ms":1}`), "HTTP 400 invalid", "500ms..24h"},
		{"a semaphore with another limit", run("--permits", "1", "--limit", "4", "rooms"), "exit 64", "all must say the same limit"},
		{"a semaphore as a lock", run("rooms"), "exit 64", "use another name"},
		{"a lock as a semaphore", run("--permits", "1", "--limit", "2", "before"), "exit 64", "use another name"},
		{"a name twice", run("a", "b", "a"), "exit 64", "twice"},
		{"more permits than there are", run("--permits", "4", "--limit", "3", "rooms"), "exit 64", "could never be held"},
		{"an unknown flag", run("--exclusive", "a"), "exit 64", "unknown flag: --exclusive"},
		{"releasing what is not held", post("/v1/locks/before/release", `{"grant":"999999"}`), "HTTP 404 not_held", "not held"},
		{"an unknown session", post("/v1/sessions/999999/renew", "{}", secret), "HTTP 404 no_session", "no such session"},
		{"an acquire for an unknown session", post("/v1/locks/a/acquire", `{"session":"999999"}`, secret), "HTTP 404 no_session", "no such session"},
		{"releasing by the machine's command", c.rawRelease, "not_held", ""},
		{"speaking for another session", c.rawStranger, "bad_secret", ""},
		{"releasing a grant that has ended", c.releaseEnded, "lost", "check the token at the resource"},
		{"a token of an earlier holder", c.staleToken, "smaller", "the resource refuses"},
	})
	rooms.kill()
}

// client is one for a test, closed with it.
func (c *cluster) client(t *testing.T) *lockapi.Client {
	t.Helper()
	client, err := lockapi.Open(t.Context(), "lockd://"+c.endpoints(), lockapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

func (c *cluster) dial(t *testing.T) *remote.Backend {
	t.Helper()
	b, err := remote.Open(strings.Split(c.endpoints(), ","), remote.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func (c *cluster) rawRelease(t *testing.T) (string, string) {
	b := c.dial(t)
	opened, err := b.Do(t.Context(), fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 1, Lo: 2}, Secret: fsm.Secret{1}, TTL: fsm.Second})
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Do(t.Context(), fsm.Command{Op: fsm.OpRelease, Session: opened.Session, Incarnation: 1, Seq: 1, Grant: 1})
	return r.Status.String(), fmt.Sprint(err)
}

func (c *cluster) rawStranger(t *testing.T) (string, string) {
	r, err := c.dial(t).Do(t.Context(), fsm.Command{Op: fsm.OpClose, Session: 1, Incarnation: 1, Seq: 1})
	return r.Status.String(), fmt.Sprint(err)
}

func (c *cluster) releaseEnded(t *testing.T) (string, string) {
	g, err := c.client(t).Mutex("ended").WithMaxHold(1500 * time.Millisecond).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	<-g.Context().Done()
	err = g.Release(t.Context())
	if errors.Is(err, lockapi.ErrLost) {
		return "lost", "what was done since may have raced: check the token at the resource: " + err.Error()
	}
	return "?", fmt.Sprint(err)
}

func (c *cluster) staleToken(t *testing.T) (string, string) {
	client, dir := c.client(t), t.TempDir()
	early, err := client.Mutex("fenced").Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := early.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "token")
	if code := c.run("fenced", "--", "sh", "-c", "echo $LOCKD_TOKEN > "+file).wait(t); code != 0 {
		t.Fatalf("exit %d", code)
	}
	if late := number(t, readFile(t, file)); uint64(early.Token) < late {
		return "smaller", fmt.Sprintf("%d < %d: the resource refuses who comes with less than it has seen", early.Token, late)
	}
	return "not smaller", ""
}
