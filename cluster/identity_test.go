package cluster

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockd-io/lockd/fsm"
)

func mustIdentity(t *testing.T, dir, id string) *identity {
	t.Helper()
	me, err := openIdentity(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { me.Close() })
	return me
}

func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v, want one with %q", err, text)
	}
}

func TestIdentityLives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "data")
	me := mustIdentity(t, dir, "n1")
	first := me.saved()
	if first.ID != "n1" || first.Instance == (instance{}) || first.bound() {
		t.Fatalf("%+v", first)
	}
	next := first
	next.Promised = ref{"n0", instance{1, 2}}
	next.Cluster = clusterID{15: 7}
	next.Owed = []promiser{{first.ref, "10.0.0.1:1"}, {ref{"n2", instance{3, 4}}, "10.0.0.2:1"}}
	if err := me.save(next); err != nil {
		t.Fatal(err)
	}
	if id := me.transport(); id.ID != "n1" || id.Cluster != [16]byte(next.Cluster) || id.Instance != fsm.Nonce(first.Instance) {
		t.Fatalf("%+v", id)
	}
	_, err := openIdentity(dir, "n1")
	wantError(t, err, "another process")
	if err := me.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = openIdentity(dir, "n2")
	wantError(t, err, `belongs to node "n1", not "n2"`)
	if got := mustIdentity(t, dir, "n1").saved(); !got.equal(next) {
		t.Fatalf("%+v, want %+v", got, next)
	}
}

// What is no node's is left as it is, mode and all.
func TestDirectoryOfOthers(t *testing.T) {
	dir := t.TempDir()
	at := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	others, mounted := at("others"), at("mounted")
	for _, path := range []string{others, at("mounted", "lost+found"), at("foreign"), at("locked", "lock"), at("lost", "log")} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{at("file"), at("others", "notes"), at("foreign", identityFile)} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{
		at("file"): "is no directory", at("file", "below"): "not a directory", others: `it has "notes"`,
		at("foreign"): "damaged", at("locked"): `it has "lock"`, at("lost"): "part of it was lost",
	} {
		before, _ := os.Lstat(path)
		_, err := openIdentity(path, "n1")
		wantError(t, err, text)
		if after, _ := os.Lstat(path); before != nil && after.Mode() != before.Mode() {
			t.Errorf("%s had mode %v and has %v", path, before.Mode(), after.Mode())
		}
	}
	if list, err := os.ReadDir(others); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
	mustIdentity(t, mounted, "n1").Close()
	if err := os.WriteFile(at("mounted", "notes"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	mustIdentity(t, mounted, "n1") // it is a node's now, with notes
}

func TestIdentityIsPrivate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	mustIdentity(t, dir, "n1")
	wantModes(t, dir)
}

// wantModes wants 0700 and 0600 all the way down.
func wantModes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: %v, want %v", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A crash before any step of a write leaves the old identity or the new one,
// and the new one once it was told.
func TestIdentityCrashes(t *testing.T) {
	crash := errors.New("crash")
	steps := []string{"create", "write", "sync", "rename", "sync directory"}
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			me := mustIdentity(t, dir, "n1")
			before := me.saved()
			after := before
			after.Promised = ref{"n0", instance{1, 2}}
			reached := false
			me.step = func(name string) error {
				if name == step {
					reached = true
					return crash
				}
				return nil
			}
			if err := me.save(after); !errors.Is(err, crash) || !reached {
				t.Fatal(err)
			}
			if !me.saved().equal(before) {
				t.Fatal("told what may not be on disk")
			}
			me.step = nil
			if err := me.save(after); !errors.Is(err, crash) {
				t.Fatal("went on after a write that failed:", err)
			}
			if err := me.Close(); err != nil {
				t.Fatal(err)
			}
			// What was not synced may be gone, or be rubbish.
			if step == "write" || step == "sync" {
				if err := os.WriteFile(filepath.Join(dir, identityFile+temporaryFile), []byte("rubb"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got := mustIdentity(t, dir, "n1").saved()
			if step == "sync directory" {
				before = after
			}
			if !got.equal(before) {
				t.Fatalf("%+v, want %+v", got, before)
			}
		})
	}
}

// What a process reads of the one before it, which died before it had flushed the
// directory, is not believed until it is on the disk.
func TestIdentityIsDurableWhenRead(t *testing.T) {
	dir, crash := t.TempDir(), errors.New("crash")
	if err := mustIdentity(t, dir, "n1").Close(); err != nil {
		t.Fatal(err)
	}
	_, err := openIdentityAt(dir, "n1", func(name string) error {
		if name != "persist" {
			t.Error("a step of a write:", name)
		}
		return crash
	})
	if !errors.Is(err, crash) {
		t.Fatal("read without a flush:", err)
	}
	mustIdentity(t, dir, "n1") // it is not locked
}

func TestIdentityRefusesDamage(t *testing.T) {
	for name, damage := range map[string]struct {
		change func(string) string
		want   string
	}{
		"empty":         {func(string) string { return "" }, "damaged"},
		"other promise": {func(s string) string { return strings.Replace(s, `"id":""`, `"id":"n7"`, 1) }, "checksum"},
		"no json":       {func(s string) string { return s[1:] }, "damaged"},
		"version": {func(string) string {
			data, _ := encodeIdentity(saved{Version: identityVersion + 1, ref: ref{ID: "n1"}})
			return string(data)
		}, "has version"},
		"no id": {func(string) string {
			data, _ := encodeIdentity(saved{Version: identityVersion})
			return string(data)
		}, "node id"},
		"short instance": {func(string) string {
			body := `{"version":2,"id":"n1","instance":"00"}`
			return `{"identity":` + body + `,"crc32c":"` + identityCheck([]byte(body)) + `"}`
		}, "hexadecimal"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, identityFile)
			if err := mustIdentity(t, dir, "n1").Close(); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := damage.change(string(data))
			if changed == string(data) {
				t.Fatal("nothing was damaged")
			}
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = openIdentity(dir, "n1")
			wantError(t, err, damage.want)
		})
	}
}

func TestIdentityRefusesDirectories(t *testing.T) {
	_, err := openIdentity(t.TempDir(), "a b")
	wantError(t, err, "node id")

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, storeFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.DataDir = dir
	_, err = Open(cfg)
	wantError(t, err, "part of it was lost")
	if errors.Is(err, os.ErrClosed) {
		t.Error("unlocked twice:", err)
	}
	if _, err := openIdentity(dir, "n1"); err == nil {
		t.Fatal("the refusal left an identity behind")
	}

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = openIdentity(filepath.Join(file, "below"), "n1")
	wantError(t, err, "data directory")
}
