package verdict

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/lockd-io/lockd/jepsen/history"
)

// Locks as Jepsen's suites model them are judged as by those models, whether they
// are right or not.
func TestForeignLocks(t *testing.T) {
	for _, rules := range foreignLocks {
		t.Run(rules.name, func(t *testing.T) {
			var right, wrong int
			for seed := range uint64(400) {
				ops, text := foreignRun(rand.New(rand.NewPCG(seed, 2)), rules)
				h, err := history.FromEDN(strings.NewReader(text), rules.lock)
				if err != nil {
					t.Fatalf("seed %d: %v in\n%s", seed, err, text)
				}
				if len(h) != len(ops) {
					t.Fatalf("seed %d: %d operations, want %d of\n%s", seed, len(h), len(ops), text)
				}
				want := Violated
				if rules.allows(ops) {
					want = Pass
					right++
				} else {
					wrong++
				}
				if got := Linearizable(h, foreignLimit); got.Verdict != want {
					t.Fatalf("seed %d: %v, want %v: %v of\n%s", seed, got.Verdict, want, got.Findings, text)
				}
			}
			if right < 40 || wrong < 40 {
				t.Fatalf("%d right and %d wrong histories say little", right, wrong)
			}
			t.Logf("%d right, %d wrong", right, wrong)
		})
	}
}

// rightRegisters are those logs of etcd of which porcupine's authors say that
// they are linearizable; of the others they say that they are not.
var rightRegisters = []int{2, 5, 7, 18, 25, 31, 38, 45, 48, 49, 51, 53, 56, 67, 75, 76, 80, 87, 92, 98, 100, 101, 102}

// A register is no lock, and whoever writes to it asks nobody. But what is open,
// unknown and refused is the same: Jepsen's logs of etcd that porcupine is tried
// on, with their known verdicts, are searched as histories of locks are. They are
// where the go command keeps the module.
func TestForeignRegisters(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/anishathalye/porcupine").Output()
	if err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "test_data", "jepsen", "*.log"))
	if err != nil || len(logs) < 102 {
		t.Fatalf("%d logs in %s: %v", len(logs), dir, err)
	}
	right := make(map[string]bool)
	for _, n := range rightRegisters {
		right[fmt.Sprintf("etcd_%03d.log", n)] = true
	}
	judged := 0
	for _, path := range logs {
		name := filepath.Base(path)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		h, told, err := registerHistory(string(text))
		if err != nil {
			t.Fatal(name, err)
		}
		if len(h) == 0 {
			continue // of a cluster that did not start
		}
		judged++
		want := porcupine.Illegal
		if right[name] {
			want = porcupine.Ok
		}
		if got := porcupine.CheckOperationsTimeout(registerModel(told), operations(h), foreignLimit); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if judged < 102 {
		t.Errorf("%d logs judged, want 102", judged)
	}
}

// A search that ran out of time has found nothing out: that is no pass.
func TestUndecided(t *testing.T) {
	var text strings.Builder
	for i := range 40 { // any of them may have been given it, before and after any other
		fmt.Fprintf(&text, "{:process %d :type :invoke :f :acquire}\n", i)
	}
	for i := range 40 {
		fmt.Fprintf(&text, "{:process %d :type :ok :f :acquire}\n", i)
	}
	h, err := history.FromEDN(strings.NewReader(text.String()), history.Lock{Limit: 39})
	if err != nil {
		t.Fatal(err)
	}
	got := Linearizable(h, 100*time.Millisecond)
	if got.Verdict != Undecided || len(got.Findings) != 1 || !strings.Contains(got.Findings[0].What, "found in 100ms") {
		t.Fatal(got.Verdict, got.Findings)
	}
}
