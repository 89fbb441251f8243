//go:build linux

package child

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

// A console is an interactive shell on a terminal of its own.
type console struct {
	*testing.T
	keys *os.File

	mu     sync.Mutex
	screen strings.Builder
}

// newConsole starts bash, which does job control as a user's shell does.
func newConsole(t *testing.T) *console {
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
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	bash := exec.Command("bash", "--norc", "--noprofile", "--noediting", "-i")
	bash.Stdin, bash.Stdout, bash.Stderr = tty, tty, tty
	bash.Env = append(os.Environ(), "PS1=", "RUNNER="+os.Args[0], "HISTFILE=")
	bash.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := bash.Start(); err != nil {
		t.Fatal(err)
	}
	c := &console{T: t, keys: keys}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(c, keys)
	}()
	t.Cleanup(func() {
		_ = bash.Process.Kill()
		_ = bash.Wait()
		<-read // the last process on the terminal is gone
		keys.Close()
	})
	return c
}

// Write is what appears on the screen.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.screen.Write(p)
}

func (c *console) enter(keys string) {
	c.Helper()
	if _, err := c.keys.WriteString(keys); err != nil {
		c.Fatal(err)
	}
}

// await wants a text on the screen after what was awaited before.
func (c *console) await(text string) {
	c.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		c.mu.Lock()
		_, rest, found := strings.Cut(c.screen.String(), text)
		if found {
			c.screen.Reset()
			c.screen.WriteString(rest)
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
	}
	c.Fatalf("no %q on the screen, but %q", text, c.screen.String())
}

// The texts that the tests wait for are put together by the shell, so that
// the echo of what is typed does not look like them.

// TestTerminal: the command reads what is typed and gets Ctrl-C, the runner
// lives to tell, and the shell gets the terminal back.
func TestTerminal(t *testing.T) {
	c := newConsole(t)
	c.enter(runnerVar + `='read x; echo r""ead $x; trap "echo t""old; exit 7" INT; echo u""p; while :; do sleep 0.01; done' $RUNNER` + "\n")
	c.enter("words\n")
	c.await("read words")
	c.await("up")
	c.enter("\x03")
	c.await("told")
	c.enter("echo c\"\"ode $?\n")
	c.await("code 7")
}

// TestStopAndContinue: Ctrl-Z gives the shell its prompt, fg goes on.
func TestStopAndContinue(t *testing.T) {
	c := newConsole(t)
	c.enter(runnerVar + `='echo u""p; while read x; do echo r""ead $x; done' $RUNNER` + "\n")
	c.await("up")
	c.enter("\x1a")
	c.await("Stopped")
	c.enter("echo shell i\"\"s here\n")
	c.await("shell is here")
	c.enter("fg\n")
	c.enter("words\n")
	c.await("read words")
	c.enter("\x04")
	c.enter("echo c\"\"ode $?\n")
	c.await("code 0")
}

// TestBackground: a job that was started in the background stops when it
// wants to read, and reads when it is brought to the foreground.
func TestBackground(t *testing.T) {
	c := newConsole(t)
	c.enter(runnerVar + `='echo u""p; read x; echo r""ead $x' $RUNNER &` + "\n")
	c.await("up")
	c.enter("while ! jobs | grep -q Stopped; do sleep 0.05; done; echo s\"\"een\n")
	c.await("seen")
	c.enter("fg\n")
	c.enter("words\n")
	c.await("read words")
	c.enter("echo c\"\"ode $?\n")
	c.await("code 0")
}
