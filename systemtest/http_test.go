//go:build system

package systemtest

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// curl posts JSON and reads the answer; status is HTTP's.
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
	for _, h := range headers {
		args = append(args, "-H", h)
	}
	return append(args, "http://"+n.listen+path)
}

// curl takes, extends and releases a lock, through all three nodes; a key finds the
// grant through another one; who goes away leaves no place in the queue; what has
// its time over is free.
func TestCurlLocks(t *testing.T) {
	c := startCluster(t)
	want := func(status string, n *node, path, body string, headers ...string) map[string]any {
		t.Helper()
		got, answer := curl(t, n, path, body, headers...)
		t.Logf("%s %s -> %s %v", path, body, got, answer)
		if got != status {
			t.Fatalf("%s: %s, not %s", path, got, status)
		}
		return answer
	}
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
