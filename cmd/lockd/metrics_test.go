package main

import (
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockd-io/lockd/cluster"
	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

// full has something to tell of everything.
func full() counts {
	m := cluster.Metrics{Leader: true, Term: 3, MachineTime: 1500 * time.Millisecond}
	m.Commands[fsm.OpAcquire], m.Answers[fsm.StatusOK] = 7, 5
	m.Proposals.Buckets[0], m.Proposals.Buckets[2], m.Proposals.Sum = 2, 1, 3*time.Millisecond
	m.LogWrites.Buckets[len(m.LogWrites.Buckets)-1] = 1
	return counts{m, transport.Stats{Accepted: 9, Evicted: 1, Unknown: 2, Refused: 3, Clients: 4}}
}

func exposition(t *testing.T) string {
	t.Helper()
	w := httptest.NewRecorder()
	metricsHandler(full).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// The page lists what is shown, with its type and labels, and nothing else.
func TestMetricsAreAsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, shown []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(lockd_[a-z_]+)` \\| ([a-z]+) \\| (?:`([a-z]+)`)? ?\\|").FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, row[1]+" "+row[2])
	}
	for _, line := range regexp.MustCompile("(?m)^# TYPE (lockd_[a-z_]+) ([a-z]+)$").FindAllStringSubmatch(exposition(t), -1) {
		shown = append(shown, line[1]+" "+line[2])
	}
	slices.Sort(documented)
	slices.Sort(shown)
	if !slices.Equal(documented, shown) {
		t.Errorf("docs/metrics.md lists\n%s\nand GET /metrics shows\n%s", strings.Join(documented, "\n"), strings.Join(shown, "\n"))
	}
	for _, m := range nodeMetrics() {
		if len(m.labels) == 1 && !strings.Contains(string(page), "`"+m.name+"` | counter | `"+m.labels[0]+"` |") {
			t.Errorf("docs/metrics.md does not say that %s has the label %s", m.name, m.labels[0])
		}
	}
}

// Every field of cluster.Metrics is shown, under the name that its comment gives.
func TestMetricsAreAsCounted(t *testing.T) {
	source, err := os.ReadFile("../../cluster/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	text := exposition(t)
	names := regexp.MustCompile("// (lockd_[a-z_]+)").FindAllStringSubmatch(string(source), -1)
	if len(names) < 30 {
		t.Errorf("only %d metrics are counted", len(names))
	}
	for _, name := range names {
		if !strings.Contains(text, "# TYPE "+name[1]+" ") {
			t.Errorf("%s is counted and not shown", name[1])
		}
	}
	for _, line := range []string{
		"lockd_leader 1", "lockd_ready 0", "lockd_raft_term 3", "lockd_machine_time_seconds 1.5",
		`lockd_commands_total{op="acquire"} 7`, `lockd_answers_total{status="ok"} 5`, `lockd_resent_total{cause="route"} 0`,
		`lockd_proposal_seconds_bucket{le="0.00025"} 2`, `lockd_proposal_seconds_bucket{le="0.001"} 3`,
		"lockd_proposal_seconds_sum 0.003", "lockd_proposal_seconds_count 3",
		"lockd_client_connections 4", "lockd_connections_accepted_total 9", `lockd_connections_closed_total{why="evicted"} 1`,
		`lockd_connections_closed_total{why="unknown"} 2`, `lockd_connections_closed_total{why="refused"} 3`,
		`lockd_log_write_seconds_bucket{le="4.096"} 0`, `lockd_log_write_seconds_bucket{le="+Inf"} 1`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("not shown: %s", line)
		}
	}
	for _, prefix := range []string{"go_goroutines", "process_cpu_seconds_total"} {
		if !strings.Contains(text, "\n"+prefix) {
			t.Errorf("%s is missing", prefix)
		}
	}
}
