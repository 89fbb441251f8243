//go:build system

package systemtest

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// curl posts JSON and reads the answer; status is HTTP's. After the headers may come
// "-X" and another method.
func curl(t *testing.T, n *node, path, body string, headers ...string) (status string, answer map[string]any) {
	t.Helper()
	out, err := exec.Command("curl", curlArgs(n, path, body, headers...)...).Output()
	if err != nil {
		t.Fatalf("curl %s: %v", path, err)
	}
	text, status, _ := strings.Cut(string(out), "\n#")
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("curl %s answers %q: %v", path, out, err)
	}
	return status, answer
}

func curlArgs(n *node, path, body string, headers ...string) []string {
	args := []string{"-sS", "-w", "\n#%{http_code}", "-H", "Content-Type: application/json", "-d", body}
	for i, h := range headers {
		if h == "-X" {
			args = append(args, headers[i:]...)
			break
		}
		args = append(args, "-H", h)
	}
	return append(args, "http://"+n.listen+path)
}

// Prometheus finds one leader, and the connections that it came by; a page of
// somebody else's takes nothing.
func TestCurlMetricsAndOrigin(t *testing.T) {
	c := startCluster(t)
	eventually(t, "one of three leads, by their own count", func() bool {
		leaders := 0
		for _, n := range c.nodes {
			out, err := exec.Command("curl", "-sSf", "http://"+n.listen+"/metrics").Output()
			if err != nil {
				t.Fatalf("curl /metrics: %v", err)
			}
			text := "\n" + string(out)
			if strings.Contains(text, "\nlockd_leader 1\n") {
				leaders++
			}
			for _, name := range []string{"lockd_ready 1", "lockd_connections_accepted_total ", "go_goroutines ", "process_start_time_seconds "} {
				if !strings.Contains(text, "\n"+name) {
					t.Fatalf("%s is missing in\n%s", name, text)
				}
			}
		}
		return leaders == 1
	})
	for _, origin := range []string{"http://203.0.113.5", "http://localhost:3000", "null"} {
		if got, answer := curl(t, c.nodes[0], "/v1/locks/x/acquire", `{"max_hold_ms":60000}`, "Origin: "+origin); got != "403" {
			t.Errorf("a page at %s: %s %v", origin, got, answer)
		}
	}
	if holders := c.show("x").Holders; len(holders) != 0 {
		t.Errorf("%v", holders)
	}
}

// wanting is curl, which must be answered with a status.
func wanting(t *testing.T) func(status string, n *node, path, body string, headers ...string) map[string]any {
	return func(status string, n *node, path, body string, headers ...string) map[string]any {
		t.Helper()
		got, answer := curl(t, n, path, body, headers...)
		t.Logf("%s %s -> %s", path, body, got)
		if got != status {
			t.Fatalf("%s: %s %v, not %s", path, got, answer, status)
		}
		return answer
	}
}

// What a session holds is extended and released by who has its secret, through any
// node, and is free when the session is ended.
func TestCurlSession(t *testing.T) {
	c, want := startCluster(t), wanting(t)
	long := want("200", c.nodes[1], "/v1/sessions", `{"ttl_ms":600000}`)
	own := "Lockd-Session-Secret: " + long["secret"].(string)
	const mine = "/v1/locks/mine/"
	held := want("200", c.nodes[2], mine+"acquire", fmt.Sprintf(`{"session":%q,"max_hold_ms":60000}`, long["session"]), own)
	named := fmt.Sprintf(`"session":%q,"grant":%q`, long["session"], held["grant"])
	want("404", c.nodes[0], mine+"release", fmt.Sprintf(`{"grant":%q}`, held["grant"]))
	want("404", c.nodes[0], mine+"release", "{"+named+"}", "Lockd-Session-Secret: "+strings.Repeat("00", 32))
	want("200", c.nodes[0], mine+"extend", "{"+named+`,"max_hold_ms":120000}`, own)
	want("200", c.nodes[1], mine+"release", "{"+named+"}", own)
	want("200", c.nodes[2], mine+"acquire", fmt.Sprintf(`{"session":%q}`, long["session"]), own)
	want("200", c.nodes[0], "/v1/sessions/"+long["session"].(string), "", own, "-X", "DELETE")
	eventually(t, "a session that was ended holds nothing", func() bool { return len(c.show("mine").Holders) == 0 })
}

// curl takes, extends and releases a lock, through all three nodes; a key finds the
// grant through another one; who goes away leaves no place in the queue; what has
// its time over is free.
func TestCurlLocks(t *testing.T) {
	c := startCluster(t)
	want := wanting(t)
	const acquire = "/v1/locks/by%2Fcurl/acquire"
	first := want("200", c.nodes[0], acquire, `{"max_hold_ms":60000}`, "Idempotency-Key: once")
	again := want("200", c.nodes[1], acquire, `{"max_hold_ms":60000}`, "Idempotency-Key: once")
	if again["grant"] != first["grant"] || again["token"] != first["token"] {
		t.Errorf("asked again: %v, not %v", again, first)
	}
	want("409", c.nodes[2], acquire, `{"max_hold_ms":60000}`)
	waiter := start(t, exec.Command("curl", curlArgs(c.nodes[2], acquire, `{"max_hold_ms":60000,"wait_ms":60000}`)...))
	eventually(t, "curl waits", func() bool { return len(c.show("by/curl").Waiters) == 1 })
	waiter.kill()
	eventually(t, "its place is gone", func() bool { return len(c.show("by/curl").Waiters) == 0 })

	grant := fmt.Sprintf(`{"grant":%q}`, first["grant"])
	want("200", c.nodes[1], "/v1/locks/by%2Fcurl/extend", fmt.Sprintf(`{"grant":%q,"max_hold_ms":120000}`, first["grant"]))
	leader, other := c.leader(), c.followers()[0]
	leader.kill()
	want("200", other, "/v1/locks/by%2Fcurl/release", grant)
	want("404", other, "/v1/locks/by%2Fcurl/release", grant)
	leader.boot()

	want("200", other, acquire, `{"max_hold_ms":500}`)
	eventually(t, "its time is over", func() bool { return len(c.show("by/curl").Holders) == 0 })

	opened := want("200", other, "/v1/sessions", `{"ttl_ms":1000,"label":"curl"}`)
	secret := "Lockd-Session-Secret: " + opened["secret"].(string)
	want("200", other, acquire, fmt.Sprintf(`{"session":%q}`, opened["session"]), secret)
	want("200", other, "/v1/sessions/"+opened["session"].(string)+"/renew", "{}", secret)
	eventually(t, "a session that nobody renews has lost it", func() bool { return len(c.show("by/curl").Holders) == 0 })
	want("404", other, "/v1/sessions/"+opened["session"].(string)+"/renew", "{}", secret)
}
