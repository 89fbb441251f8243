//go:build system

package systemtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

// A refusal is one input that must be refused: what came of it, and what it said.
type refusal struct {
	name    string
	try     func(t *testing.T) (outcome, message string)
	outcome string
	says    string // what to do, or what is wrong
}

// What is said wrongly to a cluster, to its ports, and by a machine to its own
// node: each is refused with words that help, and changes nothing. It prints the
// table of all.
func TestBadInput(t *testing.T) {
	key := filepath.Join(t.TempDir(), "secret")
	writeFile(t, key, "this cluster's, 0123456789")
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	c := startCluster(t, "--gossip-key-file", key)
	h := c.holding(t)
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "INPUT\tOUTCOME\tHELD AS BEFORE\tMESSAGE")
	for _, part := range []struct {
		of       string
		refusals []refusal
	}{
		{"command", badCommands(c)}, {"HTTP", badHTTP(c)}, {"gRPC", badGRPC(c)},
		{"grant", badGrants(c)}, {"port", badBytes(t, c)}, {"node", badNodes(t)},
	} {
		for _, r := range part.refusals {
			t.Run(part.of+"/"+strings.ReplaceAll(r.name, " ", "_"), func(t *testing.T) {
				outcome, message := r.try(t)
				message = plain(message)
				if outcome != r.outcome || r.says == "" || !strings.Contains(message, r.says) {
					t.Errorf("%s: %s: %s\nwanted %s: ...%s...", r.name, outcome, message, r.outcome, r.says)
				}
				fmt.Fprintf(w, "%s: %s\t%s\t%s\t%s\n", part.of, r.name, outcome, h.unchanged(t), shortened(message))
			})
		}
	}
	_ = w.Flush()
	t.Logf("after each, all nodes run, take a lock and give it back, and hold what they held:\n%s", &table)
	h.end(t)
}

// plain is a message on one line, without the directories of this test: their
// names are those of the rows, and must not be taken for words of the message.
func plain(message string) string {
	message = strings.Join(strings.Fields(message), " ")
	return regexp.MustCompile(regexp.QuoteMeta(os.TempDir())+`/[^ :]*/`).ReplaceAllString(message, "DIR/")
}

// shortened is a message as the table has it: on a slow machine a log may say more
// than what was waited for.
func shortened(message string) string {
	const lengthMax = 330
	message = regexp.MustCompile(`n{100,}`).ReplaceAllString(message, "nnn...")
	return message[:min(len(message), lengthMax)]
}

// A holding is what is held before anything is said wrongly: a lock, and a permit
// of a semaphore of three.
type holding struct {
	c       *cluster
	holders []*process
	release []func()
	before  map[string]lockState
}

func (c *cluster) holding(t *testing.T) *holding {
	t.Helper()
	h := &holding{c: c, before: map[string]lockState{}}
	for name, flags := range map[string][]string{"before": nil, "rooms": {"--permits", "1", "--limit", "3"}} {
		done := filepath.Join(t.TempDir(), "done")
		args := append([]string{"--ttl", "30s"}, flags...)
		args = append(args, name, "--", "sh", "-c", fmt.Sprintf("while [ ! -e %s ]; do sleep 0.1; done", done))
		h.holders = append(h.holders, c.run(args...))
		h.release = append(h.release, func() { writeFile(t, done, "") })
		eventually(t, name+" is held", func() bool { return len(c.show(name).Holders) == 1 })
		h.before[name] = c.show(name)
	}
	return h
}

// unchanged wants every node to run and to get a lock, and what was held to be held
// by the same with the same token. It tells the tokens.
func (h *holding) unchanged(t *testing.T) string {
	t.Helper()
	for _, n := range h.c.nodes {
		if !n.running() {
			t.Fatalf("%s does not run any more:\n%s", n.id, tail(n.log.String(), 20))
		}
		p := start(t, exec.Command(binary, "run", "--wait", "30s", "--endpoints", n.listen, "probe", "--", "true"))
		if code := p.wait(t); code != 0 {
			t.Errorf("by way of %s no lock can be had: exit %d: %s", n.id, code, p.log.String())
		}
	}
	var tokens []string
	for _, name := range slices.Sorted(maps.Keys(h.before)) {
		was, is := h.before[name], h.c.show(name)
		if !slices.Equal(is.Holders, was.Holders) || len(is.Waiters) > 0 || is.Kind != was.Kind {
			t.Errorf("%+v is %+v now", was, is)
		}
		tokens = append(tokens, name+" "+was.Holders[0].Token)
	}
	return strings.Join(tokens, ", ")
}

// end wants those who held to have held to their own end.
func (h *holding) end(t *testing.T) {
	t.Helper()
	for i, p := range h.holders {
		h.release[i]()
		if code := p.wait(t); code != 0 {
			t.Errorf("a holder exits %d:\n%s", code, p.log.String())
		}
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

// Command lines.
func badCommands(c *cluster) []refusal {
	run := func(args ...string) func(*testing.T) (string, string) {
		return command(append(append([]string{"run", "--endpoints", c.endpoints()}, args...), "--", "true")...)
	}
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	return []refusal{
		{"an empty name", run(""), "exit 64", "1..512 bytes"},
		{"a long name", run(strings.Repeat("n", 513)), "exit 64", "1..512 bytes"},
		{"a name that is not UTF-8", run("\xff"), "exit 64", "UTF-8"},
		{"a TTL too short", run("--ttl", "100ms", "a"), "exit 64", "500ms..24h"},
		{"a TTL too long", run("--ttl", "25h", "a"), "exit 64", "500ms..24h"},
		{"a semaphore with another limit", run("--permits", "1", "--limit", "4", "rooms"), "exit 64", "all must say the same limit"},
		{"a semaphore as a lock", run("rooms"), "exit 64", "use another name"},
		{"a semaphore as a lock to share", run("--shared", "rooms"), "exit 64", "use another name"},
		{"a lock as a semaphore", run("--permits", "1", "--limit", "2", "before"), "exit 64", "use another name"},
		{"one name of two is a semaphore", run("a", "rooms"), "exit 64", `"rooms" is a semaphore now`},
		{"a name twice", run("a", "b", "a"), "exit 64", "twice"},
		{"too many names", run(many...), "exit 64", "1..64"},
		{"permits that are shared", run("--shared", "--permits", "1", "--limit", "3", "rooms"), "exit 64", "one or the other"},
		{"permits of no limit", run("--permits", "1", "rooms"), "exit 64", "--limit"},
		{"a limit of no permits", run("--limit", "3", "rooms"), "exit 64", "--permits"},
		{"no permits", run("--permits", "0", "--limit", "3", "rooms"), "exit 64", "at least 1"},
		{"more permits than there are", run("--permits", "4", "--limit", "3", "rooms"), "exit 64", "could never be held"},
		{"an unknown flag", run("--exclusive", "a"), "exit 64", "unknown flag: --exclusive"},
		{"nobody is there", command("run", "--wait", "0", "--endpoints", "127.0.0.1:1", "a", "--", "true"), "exit 69", "is it running?"},
	}
}

// HTTP that is well formed, and asks for what cannot be.
func badHTTP(c *cluster) []refusal {
	post := func(path, body string, headers ...string) func(*testing.T) (string, string) {
		return func(t *testing.T) (string, string) {
			status, answer := curl(t, c.nodes[0], path, body, headers...)
			return fmt.Sprintf("HTTP %s %v", status, answer["code"]), fmt.Sprint(answer["error"])
		}
	}
	const secret = "Lockd-Session-Secret: 00000000000000000000000000000000000000000000000000000000000000ff"
	return []refusal{
		{"an empty name", post("/v1/locks//acquire", `{"max_hold_ms":1000}`), "HTTP 400 invalid", "1..512 bytes"},
		{"a long name", post("/v1/locks/"+strings.Repeat("n", 513)+"/acquire", `{"max_hold_ms":1000}`), "HTTP 400 invalid", "1..512 bytes"},
		{"a name that is not UTF-8", post("/v1/locks/%ff/acquire", `{"max_hold_ms":1000}`), "HTTP 400 invalid", "UTF-8"},
		{"a TTL out of range", post("/v1/sessions", `{"ttl_ms":1}`), "HTTP 400 invalid", "500ms..24h"},
		{"a field that there is not", post("/v1/sessions", `{"ttl":10}`), "HTTP 400 invalid", `"ttl"`},
		{"a semaphore with another limit", post("/v1/locks/rooms/acquire", `{"mode":"permits","permits":1,"limit":4,"max_hold_ms":1000}`),
			"HTTP 409 limit_conflict", "all must say the same limit"},
		{"a lock as a semaphore", post("/v1/locks/before/acquire", `{"mode":"permits","permits":1,"limit":4,"max_hold_ms":1000}`),
			"HTTP 409 kind_conflict", "use another name"},
		{"releasing what is not held", post("/v1/locks/before/release", `{"grant":"999999"}`), "HTTP 404 not_held", "nothing was changed"},
		{"an unknown session", post("/v1/sessions/999999/renew", "{}", secret), "HTTP 404 no_session", "open another"},
		{"an acquire for an unknown session", post("/v1/locks/a/acquire", `{"session":"999999"}`, secret), "HTTP 404 no_session", "open another"},
	}
}

// Grants that have ended.
func badGrants(c *cluster) []refusal {
	return []refusal{
		{"releasing one that was lost", c.releaseEnded, "lost", "check the token at the resource"},
		{"releasing one a second time", c.releaseTwice, "nil", "done before"},
		{"a token of an earlier holder", c.staleToken, "exit 1, from the resource", "is older than"},
	}
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

// ended is a grant whose MaxHold has passed. Of that the client believes in half a
// second, and if the answer takes longer, as on a busy machine or in an election, the
// grant was lost before it was heard of: then it takes another.
func (c *cluster) ended(t *testing.T) *lockapi.Grant {
	t.Helper()
	m := c.client(t).Mutex("fenced").WithMaxHold(1500 * time.Millisecond)
	var g *lockapi.Grant
	eventually(t, "a grant that is heard of in time", func() (heard bool) {
		var err error
		if g, err = m.Acquire(t.Context()); err != nil && !errors.Is(err, lockapi.ErrLost) {
			t.Fatal(err)
		}
		return err == nil
	})
	<-g.Context().Done()
	return g
}

func (c *cluster) releaseEnded(t *testing.T) (string, string) {
	err := c.ended(t).Release(t.Context())
	if errors.Is(err, lockapi.ErrLost) {
		return "lost", err.Error()
	}
	return "?", fmt.Sprint(err)
}

func (c *cluster) releaseTwice(t *testing.T) (string, string) {
	g, err := c.client(t).Mutex("twice").Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Release(t.Context()); err != nil {
		return "?", err.Error()
	}
	return "nil", "it was done before, so nothing is left to be done"
}

// A resource that remembers the greatest token it has seen, as in docs/guarantees.md.
const resource = `seen=$(cat "$SEEN" 2>/dev/null || echo 0)
if [ "$LOCKD_TOKEN" -lt "$seen" ]; then echo "resource: token $LOCKD_TOKEN is older than $seen: not written" >&2; exit 1; fi
echo "$LOCKD_TOKEN" > "$SEEN"`

// Who held the lock writes again, after his successor has written. Nobody could
// stop him from trying, and lockd is not asked; the resource refuses him.
func (c *cluster) staleToken(t *testing.T) (string, string) {
	seen := filepath.Join(t.TempDir(), "seen")
	early := c.ended(t)
	successor := exec.Command(binary, "run", "--endpoints", c.endpoints(), "fenced", "--", "sh", "-c", resource)
	successor.Env = append(os.Environ(), "SEEN="+seen)
	if code := start(t, successor).wait(t); code != 0 {
		t.Fatalf("the successor cannot write: exit %d", code)
	}
	written := readFile(t, seen)
	late := exec.Command("sh", "-c", resource)
	late.Env = append(os.Environ(), "SEEN="+seen, "LOCKD_TOKEN="+early.Token.String())
	p := start(t, late)
	code := p.wait(t)
	if readFile(t, seen) != written {
		t.Error("the resource was written to with a token of an earlier holder")
	}
	return fmt.Sprintf("exit %d, from the resource", code), p.log.String()
}
