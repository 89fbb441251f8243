package lockapi_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockd-io/lockd/lockapi"
)

// What is damaged, of a later version, or something else is neither used nor
// overwritten, and the error says what it is.
func TestForeignSessionFiles(t *testing.T) {
	secret := strings.Repeat("ab", 32)
	for content, want := range map[string]string{
		``:                            "it is damaged, or no session file",
		`{"format":"lockd session","`: "it is damaged, or no session file",
		`my diary`:                    "it is damaged, or no session file",
		`{"a":1}`:                     "it is damaged, or no session file",
		`[]`:                          "it is damaged, or no session file",
		`{"format":"diary","version":1,"session":"7","secret":"` + secret + `"}`:                                     "it is no session file",
		`{"format":"lockd session","version":0,"session":"7","secret":"` + secret + `"}`:                             "it is no session file",
		`{"format":"lockd session","version":1,"session":"7","secret":"` + secret + `"} more`:                        "it is no session file",
		`{"format":"lockd session","version":1,"session":"7","secret":"` + secret + `"}` + strings.Repeat(" ", 5000): "it is no session file",
		`{"format":"lockd session","version":2,"session":"7","secret":"","new":1}`:                                   "it is of a later version, 2",
		`{"format":"lockd session","version":1,"session":"0","secret":"` + secret + `"}`:                             "names no session",
		`{"format":"lockd session","version":1,"session":"7","secret":"abcd"}`:                                       "a secret of another length",
		`{"format":"lockd session","version":1,"session":"7","secret":"` + strings.Repeat("xy", 32) + `"}`:           "it is damaged, or no session file",
	} {
		inWorld(t, func(t *testing.T, w *world) {
			path := sessionFile(t)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			c, l := w.client(filed(path))
			_, resume := c.Resume(w.ctx)
			_, acquire := c.Mutex("x").TryAcquire(w.ctx)
			for what, err := range map[string]error{"resume": resume, "acquire": acquire} {
				if !errors.Is(err, lockapi.ErrSessionFile) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
					t.Errorf("%s of %q: %v", what, content, err)
				}
			}
			if n := len(l.sent()); n != 0 {
				t.Errorf("%q: %d commands were sent", content, n)
			}
			if now, err := os.ReadFile(path); err != nil || string(now) != content {
				t.Errorf("%q became %q, %v", content, now, err)
			}
		})
	}
}

// A session that cannot be written down is not used: nothing is acquired that a
// crash would leave behind, and the session is ended.
func TestSessionFileCannotBeWritten(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		path := filepath.Join(t.TempDir(), "no such directory", "session")
		c, l := w.client(filed(path))
		_, err := c.Mutex("x").TryAcquire(w.ctx)
		if !errors.Is(err, lockapi.ErrSessionFile) || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v", err)
		}
		for _, s := range l.executed() {
			if s.Op.String() != "open" && s.Op.String() != "close" {
				t.Errorf("%v was sent", s.Op)
			}
		}
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		w.release(w.take(c.Mutex("x").Acquire))
		w.wantFile(path, true)
		if err := os.WriteFile(path, []byte("mine now"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(w.ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != "mine now" {
			t.Errorf("%q, %v", now, err)
		}
	})
}
