package scenes

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/lockd-io/lockd/cluster"
	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A logbook is what all nodes log, however fine.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// Whoever has a session's secret can release what it holds. It is shown to nobody: not
// to who asks who holds a lock, nor in a log; and on no disk of a node, where a backup
// or a thief would find it, is more than its hash.
func TestASecretIsNowhere(t *testing.T) {
	logs := new(logbook)
	s := newStage(t, func(c *cluster.Config) {
		c.SnapshotBytes, c.TrailingLogs = 4<<10, 1
		c.Logger = slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	holder, waiter := s.enter(s.nodes[0], patience), s.enter(s.nodes[1], patience)
	g := holder.try(s.nodes[0], "x")
	waiter.wait(s.nodes[1], "x")
	secrets := []fsm.Secret{holder.secret, waiter.secret}
	shown := new(bytes.Buffer)
	show := func(what any, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
			return
		}
		text, err := json.Marshal(what)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(shown, "%s %+v\n", text, what)
	}
	s.until("snapshots", func() bool {
		s.say(s.nodes[0], holder.numbered(fsm.Command{Op: fsm.OpRelease, Grant: 1 << 40}))
		for _, n := range s.nodes {
			if n.Metrics().SnapshotsTaken == 0 {
				return false
			}
		}
		return true
	})
	for _, n := range s.nodes {
		show(n.Inspect(s.ctx, lockapi.Query{Name: "x"}))
		show(n.Inspect(s.ctx, lockapi.Query{Session: holder.id, Secret: holder.secret}))
		show(n.Status(s.ctx))
	}
	denied := lockapi.Attachment{Session: holder.id, Incarnation: 1, Secret: waiter.secret}
	_, err := s.nodes[2].Attach(s.ctx, denied)
	show(fmt.Sprint(err), nil)
	show(holder.release(s.nodes[0], "x", g.Grant), nil)
	for _, n := range s.nodes {
		s.close(n)
	}
	wantNowhere(t, "in a log", logs.text.Bytes(), secrets)
	wantNowhere(t, "in an answer", shown.Bytes(), secrets)
	hashed := 0
	for _, n := range s.nodes {
		err := filepath.WalkDir(n.cfg.DataDir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			wantNowhere(t, "in "+d.Name(), b, secrets)
			if hash := sha256.Sum256(holder.secret[:]); bytes.Contains(b, hash[:]) {
				hashed++
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if hashed < 2*len(s.nodes) { // in each log and each snapshot
		t.Errorf("the hash is in %d files: the search does not find what is there", hashed)
	}
}

// wantNowhere looks for secrets as bytes, and as people and programs write bytes.
func wantNowhere(t *testing.T, where string, text []byte, secrets []fsm.Secret) {
	t.Helper()
	for _, secret := range secrets {
		for _, form := range []string{
			string(secret[:]), hex.EncodeToString(secret[:]), fmt.Sprintf("%X", secret[:]), fmt.Sprint([32]byte(secret)),
			base64.StdEncoding.EncodeToString(secret[:]), base64.RawURLEncoding.EncodeToString(secret[:]),
		} {
			if bytes.Contains(text, []byte(form)) {
				t.Errorf("a secret is %s", where)
			}
		}
	}
}
