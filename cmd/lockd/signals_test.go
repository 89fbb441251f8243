package main

import (
	"bufio"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// What whoever started the program wants ignored, as nohup does, ends nothing that
// goes on until it is told to end: the line drops, and it serves.
func TestIgnoredStaysIgnored(t *testing.T) {
	for name, c := range map[string]struct {
		began string
		args  []string
	}{
		"serve": {"ready node=a listen=", []string{"serve", "--node-id", "a", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0",
			"--bootstrap-expect", "1", "--log-level", "error"}},
		"dev": {"ready endpoints=", []string{"dev", "--listen", "127.0.0.1:0"}},
	} {
		t.Run(name, func(t *testing.T) {
			serving, lines := hangupIgnored(t, c.args...)
			address := awaitLine(t, lines, c.began)
			drop(t, serving)
			out, err := exec.Command("lockd", "run", "--wait", "0", "--endpoints", address, "x", "--", "true").CombinedOutput()
			if err != nil {
				t.Errorf("after HUP and INT: %v\n%s", err, out)
			}
			bench, rows := hangupIgnored(t, "bench", "--endpoints", address, "--clients", "1", "--duration", "1s", "--warmup", "1ms")
			awaitLine(t, rows, "")
			drop(t, bench)
			for rows.Scan() {
			}
			if err := bench.Wait(); err != nil {
				t.Errorf("bench, after HUP and INT: %v", err)
			}
			end(t, serving, syscall.SIGTERM) // a second signal that is heard would kill it
		})
	}
}

// hangupIgnored starts lockd as nohup and the shell's & do.
func hangupIgnored(t *testing.T, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	path, err := exec.LookPath("lockd")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", append([]string{"-c", `trap "" HUP INT; exec "$0" "$@"`, path}, args...)...)
	cmd.Stderr = os.Stderr
	return program(t, cmd)
}

// drop is what becomes of a line that drops.
func drop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
}
