package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/lockd-io/lockd/cluster"
	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/jepsen/history"
)

// within tells whether a file is in a directory, or below; neither need be there.
func within(file, dir string) bool {
	if file == "" {
		return false
	}
	below, err := filepath.Rel(dir, file)
	return err == nil && filepath.IsLocal(below)
}

// isJournal refuses a file that has something else in it. Others than files, such
// as a pipe, are not read.
func isJournal(path string) error {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil // who opens it tells
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	// The first line is enough, and no longer than that.
	err = history.LoadJournal(io.LimitReader(file, 64), func(history.Entry) error { return io.EOF })
	if err == io.EOF || err == nil && info.Size() == 0 {
		return nil
	}
	return fmt.Errorf("%s has something else in it, and is left as it is: name another", path)
}

// keepJournal has the node append each state that it comes to to a file, if there
// is to be one. Each is written at once, so that a killed process has left all of
// them; none is flushed to the disk. A file that can no longer be written to is
// complained of once, and ends: what is there stays true.
func keepJournal(path string, c *cluster.Config) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	if err := isJournal(path); err != nil {
		return nil, usage("--journal: %w", err)
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, usage("--journal: %w", err)
	}
	journal, failed := bufio.NewWriter(file), false
	c.Journal = func(at fsm.Check) {
		if failed {
			return
		}
		entry := history.Entry{Index: uint64(at.Index), Hash: at.Hash}
		if err := errors.Join(entry.Write(journal), journal.Flush()); err != nil {
			failed = true
			c.Logger.Error("the journal ends here", "file", path, slog.Any("error", err))
		}
	}
	return file.Close, nil
}
