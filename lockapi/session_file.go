package lockapi

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lockd-io/lockd/fsm"
)

// ErrSessionFile: the session file cannot be used: it cannot be read or written,
// it is damaged or no session file, or it has the session of another process.
// Nothing in it was changed. The error says which, and what to do.
var ErrSessionFile = errors.New("session file")

const (
	sessionFileFormat  = "lockd session"
	sessionFileVersion = 1
	// sessionFileSizeMax: what is longer is something else, and need not be read.
	sessionFileSizeMax = 4 << 10
)

// A record is what a session file says: which session this is, and the secret that
// proves it. Whoever can read it can speak for the session.
type record struct {
	session fsm.SessionID
	secret  fsm.Secret
}

// recordText is a record as it stands in the file (docs/formats.md).
type recordText struct {
	Format  string        `json:"format"`
	Version int           `json:"version"`
	Session fsm.SessionID `json:"session,string"`
	Secret  string        `json:"secret"`
}

// readRecord reads a session file. The error is ErrSessionFile, and fs.ErrNotExist
// if there is none.
func readRecord(path string) (record, error) {
	f, err := os.Open(path)
	if err != nil {
		return record{}, fmt.Errorf("%w: %w", ErrSessionFile, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, sessionFileSizeMax+1))
	if err != nil {
		return record{}, fmt.Errorf("%w: %w", ErrSessionFile, err)
	}
	r, err := parseRecord(data)
	if err != nil {
		return record{}, fmt.Errorf("%w %s: %w; it was left as it is: move it away, or name another", ErrSessionFile, path, err)
	}
	return r, nil
}

func parseRecord(data []byte) (record, error) {
	var t recordText
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(&t)
	var secret []byte
	if err == nil {
		secret, err = hex.DecodeString(t.Secret)
	}
	switch {
	case t.Format == sessionFileFormat && t.Version > sessionFileVersion:
		return record{}, fmt.Errorf("it is of a later version, %d", t.Version)
	case err != nil:
		return record{}, fmt.Errorf("it is damaged, or no session file: %w", err)
	case t.Format != sessionFileFormat || t.Version != sessionFileVersion || d.More() || len(data) > sessionFileSizeMax:
		return record{}, errors.New("it is no session file")
	case t.Session == 0 || len(secret) != len(fsm.Secret{}):
		return record{}, errors.New("it is damaged: it names no session, or a secret of another length")
	}
	r := record{session: t.Session}
	copy(r.secret[:], secret)
	return r, nil
}

// write publishes r at path, whole and on the disk, or not at all. It takes the
// place of ours and of nothing else: two processes with one file would speak for
// each other's sessions.
func (r record) write(path string, ours record) error {
	if err := claimable(path, ours); err != nil {
		return err
	}
	text := recordText{sessionFileFormat, sessionFileVersion, r.session, hex.EncodeToString(r.secret[:])}
	data, err := json.Marshal(text)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSessionFile, err)
	}
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, base+".*.tmp") // with mode 0600
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSessionFile, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	switch {
	case err != nil:
	case ours == record{}:
		err = os.Link(f.Name(), path) // unlike a renaming it fails if somebody else was faster
	default:
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncDirectory(dir)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSessionFile, err)
	}
	return nil
}

// claimable tells whether a session of this process may stand at path: nothing
// does, or ours.
func claimable(path string, ours record) error {
	there, err := readRecord(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case there == ours:
		return nil
	case ours == record{}:
		return fmt.Errorf("%w %s: it has session %d of an earlier process: go on with it by Client.Resume, "+
			"before the first acquire, or remove the file", ErrSessionFile, path, there.session)
	}
	return fmt.Errorf("%w %s: it has session %d of another process: each process needs a file of its own", ErrSessionFile, path, there.session)
}

// remove takes the file away, if it has r.
func (r record) remove(path string) error {
	there, err := readRecord(path)
	if err != nil || there != r {
		return nil // it is gone, or somebody else's
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("%w: %w", ErrSessionFile, err)
	}
	return nil
}

// syncDirectory makes the names in a directory durable, where an operating system
// has a way to.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}

// fileFree tells whether a session of this client may be written to its file.
// It is asked before one is opened.
func (c *Client) fileFree() error {
	if c.options.SessionFile == "" {
		return nil
	}
	return claimable(c.options.SessionFile, c.recorded())
}

// fileSession writes the session down, before anything is acquired under it.
func (c *Client) fileSession(s *session) error {
	if c.options.SessionFile == "" {
		return nil
	}
	r := record{session: s.number(), secret: s.secret}
	if err := r.write(c.options.SessionFile, c.recorded()); err != nil {
		return err
	}
	c.record(r)
	return nil
}

// unfile removes the file of a session that is closed.
func (c *Client) unfile(s *session) error {
	if c.options.SessionFile == "" {
		return nil
	}
	return record{session: s.number(), secret: s.secret}.remove(c.options.SessionFile)
}

func (c *Client) recorded() record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.filed
}

func (c *Client) record(r record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.filed = r
}
