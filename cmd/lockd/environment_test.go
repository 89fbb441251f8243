package main

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/lockd-io/lockd/fsm"
)

// A run inside a run hands on its own token alone: of two variables with one
// name some programs take the first.
func TestEnvironmentOfANestedRun(t *testing.T) {
	t.Setenv("LOCKD_NAME", "outer")
	t.Setenv("LOCKD_TOKEN", "1")
	t.Setenv("LOCKD_GRANTS", "[]")
	var own []string
	for _, v := range environment([]heldName{{Name: "inner", Token: 2, Mode: "exclusive"}}, 1) {
		if key, _, _ := strings.Cut(v, "="); key == "LOCKD_NAME" || key == "LOCKD_TOKEN" || key == "LOCKD_GRANTS" {
			own = append(own, v)
		}
	}
	if got := strings.Join(own, " "); got != `LOCKD_NAME=inner LOCKD_TOKEN=2 LOCKD_GRANTS=[{"name":"inner","token":"2","mode":"exclusive"}]` {
		t.Errorf("the command sees %s", got)
	}
}

// As many names as there may be, as long as they may be, are handed to the command, and
// what cannot be is refused before anything is acquired.
func TestNamesThatFillTheEnvironment(t *testing.T) {
	names := func(of string) (names []string) {
		for i := range fsm.WantsMax {
			names = append(names, strconv.Itoa(i)+strings.Repeat(of, fsm.NameSizeMax-2))
		}
		return names
	}
	run := func(where string, names []string) (code int, said string) {
		command := exec.Command("lockd", append(append([]string{"run", "--wait", "0", where}, names...), "--", "true")...)
		out, _ := command.CombinedOutput() // its code says it
		return command.ProcessState.ExitCode(), string(out)
	}
	if code, said := run("--backend=mem://", names("<")); code != 0 {
		t.Errorf("exit %d: %s", code, said)
	}
	const nobody = "--endpoints=127.0.0.1:1"
	if code, said := run(nobody, names("\x01")); code != exitNoExecute || !strings.Contains(said, "LOCKD_GRANTS=") {
		t.Errorf("exit %d: %s", code, said)
	}
}
