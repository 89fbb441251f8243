//go:build linux

// Package console is a terminal for tests, with an interactive shell on it and a
// user before it: job control, Ctrl-C and Ctrl-Z come from the kernel and the
// shell, as they do for people.
//
//	c := console.New(t, "dash", "RUNNER="+path)
//	c.Type("$RUNNER x | less\n")
//	c.Await("first line")
//	c.Type(console.CtrlZ)
//	c.Await("Stopped")
//
// What is typed is echoed. A text that is waited for should be put together by
// the shell, as in echo d""one, or the echo of the command is taken for it.
package console

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Keys that the terminal makes signals of.
const (
	CtrlC         = "\x03"
	CtrlD         = "\x04"
	CtrlZ         = "\x1a"
	CtrlBackslash = "\x1c"
)

// shells are those that there is a console for, and how to have them do nothing of
// their own: no files of the user's, no history, no line editing.
var shells = map[string][]string{
	"bash": {"--norc", "--noprofile", "--noediting", "-i"},
	"dash": {"-i"},
}

// patience bounds a wait: what is waited for comes at once.
const patience = 30 * time.Second

// A Console is an interactive shell on a terminal of its own.
type Console struct {
	t     testing.TB
	keys  *os.File
	shell *exec.Cmd

	mu     sync.Mutex
	screen strings.Builder // what was not awaited yet
}

// New starts a shell, bash or dash, with further environment. It ends with the test,
// and with it what is on the terminal.
func New(t testing.TB, shell string, environment ...string) *Console {
	t.Helper()
	keys, tty := open(t)
	defer tty.Close()
	c := &Console{t: t, keys: keys, shell: exec.Command(shell, shells[shell]...)}
	c.shell.Stdin, c.shell.Stdout, c.shell.Stderr = tty, tty, tty
	c.shell.Env = append(os.Environ(), append([]string{"PS1=", "ENV=", "HISTFILE=", "TERM=xterm"}, environment...)...)
	c.shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.shell.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(c, keys)
	}()
	t.Cleanup(func() {
		_ = c.shell.Process.Kill()
		_ = c.shell.Wait()
		hangUp(c.shell.Process.Pid)
		<-read // the last process on the terminal is gone
		keys.Close()
	})
	return c
}

// open makes a terminal.
func open(t testing.TB) (keys, tty *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return keys, tty
}

// hangUp kills what is left of a session.
func hangUp(session int) {
	dir, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, entry := range dir {
		var pid int
		if _, err := fmt.Sscan(entry.Name(), &pid); err != nil {
			continue
		}
		if of, err := unix.Getsid(pid); err == nil && of == session {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// Write is what appears on the screen.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.screen.Write(p)
}

// Type is what the user does.
func (c *Console) Type(keys string) {
	c.t.Helper()
	if _, err := c.keys.WriteString(keys); err != nil {
		c.t.Fatal(err)
	}
}

// Await wants a text on the screen after what was awaited before.
func (c *Console) Await(text string) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if c.found(text) {
			return
		}
	}
	c.t.Fatalf("no %q on the screen, but %q", text, c.Screen())
}

func (c *Console) found(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, rest, found := strings.Cut(c.screen.String(), text)
	if found {
		c.screen.Reset()
		c.screen.WriteString(rest)
	}
	return found
}

// Screen is what has appeared since what was awaited last.
func (c *Console) Screen() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.screen.String()
}

// Code wants the prompt back, and the exit code of what ran last.
func (c *Console) Code(want int) {
	c.t.Helper()
	c.Type("echo c\"\"ode=$?.\n")
	c.Await(fmt.Sprintf("code=%d.", want))
}
