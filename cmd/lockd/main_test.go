package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary lockd when it is called by that name.
func TestMain(m *testing.M) { testscript.Main(attended{m}, map[string]func(){"lockd": main}) }

// attended are the tests as at a terminal: under nohup, or in the background of a
// script, signals are ignored that they send to end lockd, and lockd keeps that. What
// this process catches, its children have by default.
type attended struct{ *testing.M }

func (a attended) Run() int {
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	return a.M.Run()
}

// lockd is the program, run beside the test.
func lockd(t *testing.T, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	return lockdTo(t, os.Stderr, args...)
}

// lockdTo is lockd with what it says beside its output sent to a writer.
func lockdTo(t *testing.T, stderr io.Writer, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command("lockd", args...)
	cmd.Stderr = stderr
	return program(t, cmd)
}

// program starts a command, which does not outlive the test.
func program(t *testing.T, cmd *exec.Cmd) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewScanner(out)
}

// awaitLine reads up to the line that begins so, and returns the rest of it.
func awaitLine(t *testing.T, lines *bufio.Scanner, prefix string) string {
	t.Helper()
	for lines.Scan() {
		if rest, found := strings.CutPrefix(lines.Text(), prefix); found {
			return rest
		}
	}
	t.Fatalf("the program ended without a line %q", prefix)
	return ""
}

// end tells a program to end, and wants it to end well.
func end(t *testing.T, cmd *exec.Cmd, sig syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended by %v: %v", sig, err)
	}
}

// TestScripts runs testdata/*.txtar, each against one cluster that they share.
func TestScripts(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dev, lines := lockd(t, "dev", "--listen", "127.0.0.1:0", "--log-level", "error")
	endpoints := awaitLine(t, lines, "ready endpoints=")
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("LOCKD_ENDPOINTS", endpoints)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code, "await": await},
	})
	t.Cleanup(func() {
		end(t, dev, syscall.SIGINT)
		left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "lockd*")) // scripts have theirs there, too
		if err != nil || len(left) > 0 {
			t.Errorf("dev leaves %v in the temporary directory (%v)", left, err)
		}
	})
}

// code N COMMAND...: the command ends with exit code N. A try has a second to be
// answered, which a busy machine may not keep: who hears nothing tries again.
func code(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := exitUnavailable
	for deadline := time.Now().Add(30 * time.Second); got == exitUnavailable && time.Now().Before(deadline); {
		var exit *exec.ExitError
		if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
			got = exit.ExitCode()
		} else if err != nil {
			ts.Fatalf("%v", err)
		} else {
			got = 0
		}
		if got == want {
			return
		}
	}
	ts.Fatalf("exit code %d, want %d", got, want)
}

// await TEXT COMMAND...: the command prints the text, sooner or later.
func await(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err := ts.Exec(args[1], args[2:]...); err == nil && strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
	}
	ts.Fatalf("no %q", args[0])
}

// TestServe: one node serves, ends well when it is told to, and goes on from
// there.
func TestServe(t *testing.T) {
	args := []string{"serve", "--node-id", "a", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0",
		"--advertise", "localhost:7600", "--bootstrap-expect", "1", "--log-level", "error"}
	last := 0
	for range 2 {
		node, lines := lockd(t, args...)
		address := awaitLine(t, lines, "ready node=a listen=")
		out, err := exec.Command("lockd", "run", "--endpoints", address, "x", "--", "sh", "-c", "echo $LOCKD_TOKEN").CombinedOutput()
		token, _ := strconv.Atoi(strings.TrimSpace(string(out)))
		if err != nil || token <= last {
			t.Errorf("run: %v\n%s, after token %d", err, out, last)
		}
		last = token
		end(t, node, syscall.SIGTERM)
	}
}

// TestServeLog: a healthy node warns of nothing, from its start to its end, by
// whichever signal; each line names it; and it answers to the name that it is
// advertised by.
func TestServeLog(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		var log bytes.Buffer
		node, lines := lockdTo(t, &log, "serve", "--node-id", "a", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0",
			"--advertise", "a.example:7600", "--bootstrap-expect", "1", "--gossip-key-file", key, "--insecure")
		address := awaitLine(t, lines, "ready node=a listen=")
		for host, want := range map[string]int{"a.example": http.StatusOK, "b.example": http.StatusMisdirectedRequest} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/v1/status", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host, r.Close = host, true
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != want {
				t.Errorf("as %s: %s", host, answer.Status)
			}
		}
		end(t, node, sig)
		text := log.String()
		if at := strings.Index(text, "the limit of open files is low"); at >= 0 { // of whoever runs the test
			begin, end := strings.LastIndex(text[:at], "\n")+1, at+strings.Index(text[at:], "\n")+1
			text = text[:begin] + text[end:]
		}
		if strings.Contains(text, "WARN") || strings.Contains(text, "ERROR") || !strings.Contains(text, "msg=started") ||
			!strings.Contains(text, "msg=stopped") || strings.Count(text, "\n") != strings.Count(text, " node=a") {
			t.Errorf("%v:\n%s", sig, text)
		}
	}
}

// TestServeRefusesAnotherID: a directory belongs to one node for ever.
func TestServeRefusesAnotherID(t *testing.T) {
	args := []string{"serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--bootstrap-expect", "1",
		"--log-level", "error", "--node-id"}
	node, lines := lockd(t, append(args, "a")...)
	awaitLine(t, lines, "ready ")
	end(t, node, syscall.SIGTERM)
	out, err := exec.Command("lockd", append(args, "b")...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), `"a"`) && !strings.Contains(string(out), " a") {
		t.Errorf("as b: %v\n%s", err, out)
	}
}
