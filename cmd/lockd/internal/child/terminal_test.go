//go:build linux

package child

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockd-io/lockd/systemtest/console"
)

// eachShell runs a test with each shell that does job control for its user. In
// them $RUNNER runs the shell script in the variable before it.
func eachShell(t *testing.T, test func(t *testing.T, shell string, c *console.Console)) {
	for _, shell := range []string{"bash", "dash"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel() // the runners are processes of their own
			test(t, shell, console.New(t, shell, "RUNNER="+os.Args[0]))
		})
	}
}

// run is what to type to run a script. It must have no single quotes.
func run(script string) string { return runnerVar + "='" + script + "' $RUNNER" }

// TestTerminal: the command reads what is typed and gets Ctrl-C, the runner
// lives to tell, and the shell gets the terminal back.
func TestTerminal(t *testing.T) {
	eachShell(t, func(t *testing.T, _ string, c *console.Console) {
		c.Type(run(`read x; echo r""ead $x; trap "echo t""old; exit 7" INT; echo u""p; while :; do sleep 0.01; done`) + "\n")
		c.Type("words\n")
		c.Await("read words")
		c.Await("up")
		c.Type(console.CtrlC)
		c.Await("told")
		c.Code(7)
	})
}

// TestStopAndContinue: Ctrl-Z gives the shell its prompt, fg goes on.
func TestStopAndContinue(t *testing.T) {
	eachShell(t, func(t *testing.T, _ string, c *console.Console) {
		c.Type(run(`echo u""p; while read x; do echo r""ead $x; done`) + "\n")
		c.Await("up")
		c.Type(console.CtrlZ)
		c.Await("Stopped")
		c.Type("echo shell i\"\"s here\n")
		c.Await("shell is here")
		c.Type("fg\n")
		c.Type("words\n")
		c.Await("read words")
		c.Type(console.CtrlD)
		c.Code(0)
	})
}

// TestBackground: a job that was started in the background stops when it
// wants to read, and reads when it is brought to the foreground.
func TestBackground(t *testing.T) {
	eachShell(t, func(t *testing.T, _ string, c *console.Console) {
		c.Type(run(`echo u""p; read x; echo r""ead $x`) + " &\n")
		c.Await("up")
		jobs := filepath.Join(t.TempDir(), "jobs") // dash has none in a pipe
		c.Type(fmt.Sprintf("until jobs >%[1]s; grep -q Stopped %[1]s; do sleep 0.05; done; echo s\"\"een\n", jobs))
		c.Await("seen")
		c.Type("fg\n")
		c.Type("words\n")
		c.Await("read words")
		c.Code(0)
	})
}

// scriptOf puts a line into a script for a shell, and says how to run it.
func scriptOf(t *testing.T, shell string, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return shell + " " + file
}

// A jobShape is what a shell makes of a command line with a runner in it.
type jobShape struct {
	name string
	line func(t *testing.T, shell, runner string) string
}

var jobShapes = []jobShape{
	{"alone", func(_ *testing.T, _, runner string) string { return runner }},
	{"no input", func(_ *testing.T, _, runner string) string { return runner + " </dev/null" }},
	{"behind a pipe", func(_ *testing.T, _, runner string) string { return "echo x | " + runner }},
	{"before a pipe", func(_ *testing.T, _, runner string) string { return runner + " | cat" }},
	{"in a script", func(t *testing.T, shell, runner string) string { return scriptOf(t, shell, runner, "exit $?") }},
}

func eachShape(t *testing.T, test func(t *testing.T, shell string, c *console.Console, line func(runner string) string)) {
	for _, shape := range jobShapes {
		t.Run(shape.name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, shell string, c *console.Console) {
				test(t, shell, c, func(runner string) string { return shape.line(t, shell, runner) + "\n" })
			})
		})
	}
}

// TestPrompt: who asks on the terminal is answered, wherever his input comes
// from and his output goes.
func TestPrompt(t *testing.T) {
	eachShape(t, func(t *testing.T, _ string, c *console.Console, line func(string) string) {
		c.Type(line(run(`stty -echo </dev/tty; echo w""ord: >/dev/tty; read y </dev/tty; stty echo </dev/tty; echo g""ot $y`)))
		c.Await("word:")
		c.Type("secret\n")
		c.Await("got secret")
		c.Code(0)
	})
}

// TestPager: who shares the runner's job reads keys, as a pager does, and the
// command goes on beside it. Ctrl-C, which a pager ignores, is the command's.
func TestPager(t *testing.T) {
	eachShell(t, func(t *testing.T, _ string, c *console.Console) {
		c.Type(run(`echo one; echo two; read never`) + ` </dev/zero | sh -c 'trap "" INT; read a; stty -echo </dev/tty; echo f""irst $a; read key </dev/tty; stty echo </dev/tty; read b; echo n""ext $b, key $key'` + "\n")
		c.Await("first one")
		c.Type("k\n")
		c.Await("next two, key k")
		c.Type(console.CtrlC)
		c.Code(0) // the pager's
	})
}

// TestTerminalGoesRound: the command asks, then the pager, then the command.
func TestTerminalGoesRound(t *testing.T) {
	c := console.New(t, "bash", "RUNNER="+os.Args[0], "SEEN="+filepath.Join(t.TempDir(), "seen"))
	c.Type(run(`echo w""ord: >/dev/tty; read y </dev/tty; echo $y; until test -e $SEEN; do sleep 0.01; done; echo w""ord: >/dev/tty; read y </dev/tty; echo $y`) +
		` | sh -c 'read a; echo k""ey for $a:; read key </dev/tty; echo t""hen $key; touch $SEEN; read a; echo l""ast $a'` + "\n")
	c.Await("word:")
	c.Type("secret\n")
	c.Await("key for secret:")
	c.Type("k\n")
	c.Await("then k")
	c.Await("word:")
	c.Type("another\n")
	c.Await("last another")
	c.Code(0)
}

// TestSilence: once the runner is stopped nothing of the command runs, and if
// validity passes meanwhile, nothing of it ever does again.
func TestSilence(t *testing.T) {
	eachShape(t, func(t *testing.T, _ string, c *console.Console, line func(string) string) {
		dir := t.TempDir()
		log, pid := filepath.Join(dir, "log"), filepath.Join(dir, "pid")
		// A child in a group of its own, as of timeout, writes too.
		script := fmt.Sprintf(`echo $PPID >%[2]s; timeout 60 sh -c "while :; do echo c >>%[1]s; done" & while :; do echo p >>%[1]s; done`, log, pid)
		c.Type(validVar + "=5s; export " + validVar + "; " + line(run(script)))
		for text := ""; !strings.Contains(text, "c") || !strings.Contains(text, "p"); text = contents(t, log) {
			time.Sleep(time.Millisecond)
		}
		past := time.Now().Add(5 * time.Second) // it began before
		c.Type(console.CtrlZ)
		c.Await("Stopped")
		runner := strings.TrimSpace(contents(t, pid))
		for state(t, runner) != 'T' { // the shell of a script is stopped before its runner
			time.Sleep(time.Millisecond)
		}
		stopped := len(contents(t, log))
		time.Sleep(time.Until(past)) // the grant runs out
		c.Type("fg; echo b\"\"ack $?\n")
		c.Await("back")
		if n := len(contents(t, log)); n != stopped {
			t.Errorf("%d bytes were written after the stop", n-stopped)
		}
	})
}

// state is a process's as /proc has it.
func state(t *testing.T, pid string) byte {
	t.Helper()
	_, after, found := strings.Cut(contents(t, "/proc/"+pid+"/stat"), ") ")
	if !found {
		t.Fatalf("no process %s", pid)
	}
	return after[0]
}

func contents(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

// TestCtrlCEndsAll: the loop or script around the runner ends with the command, also
// if that had the terminal.
func TestCtrlCEndsAll(t *testing.T) {
	for name, script := range map[string]string{
		"plain":        `echo u""p; exec sleep 60`,
		"after prompt": `echo w""ord: >/dev/tty; read y </dev/tty; echo u""p; exec sleep 60`,
	} {
		t.Run(name, func(t *testing.T) {
			eachShell(t, func(t *testing.T, shell string, c *console.Console) {
				loop := "for i in 1 2; do " + run(script) + "; done"
				for _, line := range []string{scriptOf(t, shell, run(script), "echo n\"\"ext"), scriptOf(t, shell, loop), loop} {
					c.Type(line + "\n")
					if name != "plain" {
						c.Await("word:")
						c.Type("w\n")
					}
					c.Await("up")
					c.Type(console.CtrlC)
					c.Code(130)
					if screen := c.Screen(); strings.Contains(screen, "next") || strings.Contains(screen, "up") {
						t.Errorf("%s went on: %q", line, screen)
					}
				}
			})
		})
	}
}

// TestQuitLeavesNoCore: Ctrl-\ ends the runner as it ends the command, but the
// runner is no program that somebody wants to look into.
func TestQuitLeavesNoCore(t *testing.T) {
	eachShell(t, func(t *testing.T, _ string, c *console.Console) {
		dir := t.TempDir()
		c.Type("cd " + dir + "; ulimit -c unlimited\n")
		c.Type(run(`ulimit -c 0; echo u""p; exec sleep 60`) + "\n")
		c.Await("up")
		c.Type(console.CtrlBackslash)
		c.Await("Quit")
		c.Code(131)
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("the runner leaves %v (%v)", left, err)
		}
	})
}
