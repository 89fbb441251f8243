// Package overlay plants faults: a small wrong change of one source file, for one
// build, by an overlay of the go command. The tree is never touched, so that what is
// planted can be in no release.
package overlay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// A Change is a text in a file of the module, and what it is instead.
type Change struct {
	File     string // from the module's root, with slashes
	Old, New string // Old is in the file exactly once
}

// Write puts the changed file into a directory, and a description by which the go
// command reads it in place of the real one: what -overlay takes. It is an error
// that the old text is not in the file exactly once, or that nothing changes.
func (c Change) Write(root, dir string) (description string, err error) {
	file := filepath.Join(root, filepath.FromSlash(c.File))
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if n := bytes.Count(text, []byte(c.Old)); n != 1 || c.Old == c.New {
		return "", fmt.Errorf("its old text is %d times in %s", n, c.File)
	}
	changed := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(changed, bytes.Replace(text, []byte(c.Old), []byte(c.New), 1), 0o600); err != nil {
		return "", err
	}
	content, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		return "", err
	}
	description = filepath.Join(dir, "overlay.json")
	return description, os.WriteFile(description, content, 0o600)
}
