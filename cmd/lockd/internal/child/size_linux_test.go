package child

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What is taken for too large is refused by the system, or nearly so, and nothing else
// is.
func TestTooLarge(t *testing.T) {
	path, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	started := func(args []string) error {
		c := exec.Command(path)
		c.Args, c.Env = args, []string{"A=b"}
		return c.Run()
	}
	filled := func(size int) (args []string) {
		for ; size > 0; size -= 100 << 10 {
			args = append(args, strings.Repeat("x", min(size, 100<<10)))
		}
		return args
	}
	low, high := 0, 8<<20 // fits, and does not
	for high-low > 1 {
		if at := (low + high) / 2; TooLarge(path, filled(at), []string{"A=b"}) == nil {
			low = at
		} else {
			high = at
		}
	}
	if err := started(filled(low)); err != nil {
		t.Errorf("%d bytes: %v", low, err)
	}
	if err := started(filled(high + 3*interpreted)); !errors.Is(err, unix.E2BIG) {
		t.Errorf("%d bytes: %v", high+3*interpreted, err)
	}
	for size, fits := range map[int]bool{128<<10 - 1: true, 128 << 10: false} {
		args := []string{"true", strings.Repeat("x", size)}
		if err := TooLarge(path, args, nil); (err == nil) != fits || !fits && !errors.Is(err, unix.E2BIG) {
			t.Errorf("a word of %d bytes: %v", size, err)
		}
		if err := started(args); (err == nil) != fits {
			t.Errorf("a word of %d bytes is started: %v", size, err)
		}
	}
}
