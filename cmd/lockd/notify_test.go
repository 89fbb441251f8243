package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// A systemd that listens hears that a node is ready, not before it is, and that it
// stops; by a path, and by an abstract name. (Profiles are served meanwhile.)
func TestNotify(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), fmt.Sprintf("@lockd-test-%d", os.Getpid())} {
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("NOTIFY_SOCKET", name)
		var log bytes.Buffer
		node, lines := lockdTo(t, &log, "serve", "--node-id", "a", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0",
			"--bootstrap-expect", "1", "--pprof", "127.0.0.1:0")
		heard := func() string {
			b := make([]byte, 100)
			_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
			n, err := conn.Read(b)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return string(b[:n])
		}
		if state := heard(); state != "READY=1" {
			t.Errorf("%s hears %q", name, state)
		}
		address := awaitLine(t, lines, "ready node=a listen=")
		answer, err := http.Get("http://" + address + "/readyz")
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("said to be ready: %v, %v", answer, err)
		} else {
			_ = answer.Body.Close()
		}
		end(t, node, syscall.SIGTERM)
		if state := heard(); state != "STOPPING=1" {
			t.Errorf("%s hears %q", name, state)
		}
		_ = conn.Close()
		if !strings.Contains(log.String(), "/debug/pprof/") {
			t.Errorf("profiles are not served:\n%s", &log)
		}
	}
}

// What is no socket of systemd's, and no loopback address, is refused.
func TestServeIsGivenNonsense(t *testing.T) {
	args := []string{"serve", "--node-id", "a", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--bootstrap-expect", "1"}
	out, err := exec.Command("lockd", append(args, "--pprof", "192.0.2.1:6060")...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "on loopback is wanted") {
		t.Errorf("%v\n%s", err, out)
	}
	t.Setenv("NOTIFY_SOCKET", "nonsense")
	out, err = exec.Command("lockd", args...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "only systemd should set it") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The configuration that comes with the unit is one that serve takes, and the unit
// starts serve with it.
func TestPackaging(t *testing.T) {
	command := newServe()
	if err := fromFile(command.Flags(), "../../packaging/lockd.yaml"); err != nil {
		t.Error(err)
	}
	set := 0
	command.Flags().Visit(func(*pflag.Flag) { set++ })
	if set < 6 {
		t.Errorf("packaging/lockd.yaml sets only %d flags", set)
	}
	unit := map[string]string{}
	file, err := os.Open("../../packaging/lockd.service")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			unit[key] = value
		}
	}
	for key, want := range map[string]string{
		"Type": "notify", "ExecStart": "/usr/bin/lockd serve --config /etc/lockd/lockd.yaml", "Restart": "on-failure",
		"StateDirectory": "lockd", "ProtectSystem": "strict", "NoNewPrivileges": "yes", "WantedBy": "multi-user.target",
	} {
		if unit[key] != want {
			t.Errorf("packaging/lockd.service: %s=%s, not %s", key, unit[key], want)
		}
	}
	if dir := command.Flags().Lookup("data-dir").Value.String(); dir != "/var/lib/"+unit["StateDirectory"] {
		t.Errorf("the data is in %s, which the unit does not make", dir)
	}
}
