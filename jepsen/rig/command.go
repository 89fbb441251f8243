//go:build linux

package rig

import (
	"fmt"
	"os/exec"
	"strings"
)

func command(args ...string) error {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func commands(all ...[]string) error {
	for _, args := range all {
		if err := command(args...); err != nil {
			return err
		}
	}
	return nil
}
