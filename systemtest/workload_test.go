//go:build system

package systemtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	shells = 8
	rounds = 25
	turns  = shells * rounds
)

// workloads are shells that take turns by `lockd run`, and what must be true of
// what they leave behind.
var workloads = []struct {
	name string
	run  func(t *testing.T, try trial)
}{
	{"exclusive", exclusive},
	{"readers among writers", readersAmongWriters},
	{"semaphore", semaphoreOfThree},
	{"several names", severalNames},
}

// A job is what a shell does in one turn: the flags and names of `lockd run`, and
// the command that runs under it. The command finds the directory of all in $D.
type job struct{ locks, command string }

// work has every shell do its jobs, and the faults done meanwhile. Each turn
// leaves a line in D/turns, by which progress is seen; no turn may fail.
func work(t *testing.T, try trial, dir string, jobs func(shell, round int) job) {
	t.Helper()
	writeFile(t, filepath.Join(dir, "turns"), "")
	started := time.Now()
	var all []*process
	for s := range shells {
		var script strings.Builder
		for r := range rounds {
			j := jobs(s, r)
			fmt.Fprintf(&script, "\"$0\" run $REACH %s -- sh -c '%s; echo %d >> $D/turns' || exit 1\n", j.locks, j.command, s)
		}
		cmd := exec.Command("sh", "-c", script.String(), binary)
		cmd.Env = append(os.Environ(), "D="+dir, "REACH="+strings.Join(try.reach, " "))
		all = append(all, start(t, cmd))
	}
	try.faults(func() int { return strings.Count(readFile(t, filepath.Join(dir, "turns")), "\n") })
	for s, p := range all {
		if code := p.wait(t); code != 0 {
			t.Errorf("shell %d: a run failed with %d:\n%s", s, code, p.log.String())
		}
	}
	if n := strings.Count(readFile(t, filepath.Join(dir, "turns")), "\n"); n != turns {
		t.Errorf("%d turns, not %d", n, turns)
	}
	t.Logf("%d turns in %v", turns, time.Since(started).Round(time.Millisecond))
}

// raise is the command that raises the number in each of the files.
func raise(files ...string) string {
	return fmt.Sprintf("for f in %s; do n=$(cat $D/$f); echo $((n+1)) > $D/$f; done", strings.Join(files, " "))
}

func wantNumber(t *testing.T, file string, want int) {
	t.Helper()
	if n := number(t, readFile(t, file)); n != uint64(want) {
		t.Errorf("%s says %d, not %d", filepath.Base(file), n, want)
	}
}

// exclusive: eight shells each raise a number 25 times. No rise is lost.
func exclusive(t *testing.T, try trial) {
	dir := t.TempDir()
	file := filepath.Join(dir, "n")
	writeFile(t, file, "0\n")
	work(t, try, dir, func(int, int) job { return job{"counter", raise("n")} })
	wantNumber(t, file, turns)
}

// readersAmongWriters: half of the shells raise two numbers, one after the other,
// half look under a shared lock whether the two are equal. They always are, no rise
// is lost, and readers are inside together.
func readersAmongWriters(t *testing.T, try trial) {
	dir := t.TempDir()
	for _, f := range []string{"n", "m"} {
		writeFile(t, filepath.Join(dir, f), "0\n")
	}
	if err := os.Mkdir(filepath.Join(dir, "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	work(t, try, dir, func(shell, _ int) job {
		if shell%2 == 0 {
			return job{"counter", raise("n", "m")}
		}
		return job{"--shared counter", "touch $D/inside/$$; ls $D/inside | wc -l >> $D/together; sleep 0.05; rm $D/inside/$$; " +
			"test $(cat $D/n) = $(cat $D/m) || exit 1"}
	})
	wantNumber(t, filepath.Join(dir, "n"), turns/2)
	wantNumber(t, filepath.Join(dir, "m"), turns/2)
	most, often := 0, 0
	for line := range strings.Lines(readFile(t, filepath.Join(dir, "together"))) {
		if n := int(number(t, line)); n > 1 {
			most, often = max(most, n), often+1
		}
	}
	t.Logf("readers met other readers %d times of %d, at most %d together", often, turns/2, most)
	if often == 0 {
		t.Error("no reader ever met another: the lock was not shared")
	}
}

// semaphoreOfThree: never more than three are inside, and three often.
func semaphoreOfThree(t *testing.T, try trial) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	work(t, try, dir, func(int, int) job {
		return job{"--permits 1 --limit 3 rooms", "touch $D/inside/$$; ls $D/inside | wc -l >> $D/together; sleep 0.05; rm $D/inside/$$"}
	})
	var met [shells + 1]int
	for line := range strings.Lines(readFile(t, filepath.Join(dir, "together"))) {
		met[number(t, line)]++
	}
	t.Logf("inside together, how often: 1: %d, 2: %d, 3: %d", met[1], met[2], met[3])
	for n := 4; n <= shells; n++ {
		if met[n] > 0 {
			t.Errorf("%d were inside together %d times", n, met[n])
		}
	}
	if met[3] < turns/10 {
		t.Errorf("three were inside only %d times of %d", met[3], turns)
	}
}

// severalNames: pairs and triples of five names, all overlapping. The number of
// each name is exact.
func severalNames(t *testing.T, try trial) {
	sets := [][]string{
		{"a", "b"}, {"c", "b"}, {"c", "d"}, {"e", "d"}, {"e", "a"}, {"a", "c"}, {"d", "b"},
		{"a", "b", "c"}, {"e", "d", "c"}, {"d", "e", "b"},
	}
	dir := t.TempDir()
	want := map[string]int{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		writeFile(t, filepath.Join(dir, name), "0\n")
	}
	of := func(shell, round int) []string { return sets[(7*shell+round)%len(sets)] }
	for s := range shells {
		for r := range rounds {
			for _, name := range of(s, r) {
				want[name]++
			}
		}
	}
	work(t, try, dir, func(shell, round int) job {
		set := of(shell, round)
		return job{strings.Join(set, " "), raise(set...)}
	})
	for name, n := range want {
		wantNumber(t, filepath.Join(dir, name), n)
	}
}
