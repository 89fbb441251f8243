//go:build !linux

package raftlog

import "os"

func allocate(file *os.File, size int64) error { return file.Truncate(size) }

func flush(file *os.File) error { return file.Sync() }
