//go:build linux

package rig

import (
	"os"
	"path/filepath"
	"strconv"
)

// A volume is an ext4 image, mounted so that the kernel writes nothing by itself
// for as long as a test lasts: only what is flushed is in the image.
type volume struct {
	image, dir string
	cuts       int
	mounted    bool
}

const volumeSize = "160M" // a few segments of a log, and snapshots

func newVolume(at string) (*volume, error) {
	d := &volume{image: filepath.Join(at, "image"), dir: filepath.Join(at, "disk")}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	err := commands([]string{"truncate", "-s", volumeSize, d.image}, []string{"mkfs.ext4", "-q", d.image})
	if err != nil {
		return nil, err
	}
	return d, d.mount()
}

// data is the node's directory on it.
func (d *volume) data() string { return filepath.Join(d.dir, "data") }

func (d *volume) mount() error {
	err := command("mount", "-o", "loop,commit=600", d.image, d.dir)
	d.mounted = err == nil
	return err
}

func (d *volume) unmount() error {
	if !d.mounted {
		return nil
	}
	d.mounted = false
	return command("umount", d.dir)
}

// snapshot copies what is on the disk now, which is less than what the machine
// believes to be there.
func (d *volume) snapshot() (copied string, err error) {
	d.cuts++
	copied = d.image + "." + strconv.Itoa(d.cuts)
	return copied, command("cp", "--sparse=always", d.image, copied)
}

// restore makes the disk what it was when it was copied. Nobody may use it.
func (d *volume) restore(copied string) error {
	if err := d.unmount(); err != nil {
		return err
	}
	if err := os.Remove(d.image); err != nil {
		return err
	}
	d.image = copied
	return d.mount()
}

// forget removes a copy that is not needed any more.
func (d *volume) forget(copied string) error { return os.Remove(copied) }
