//go:build system

package systemtest

import (
	"encoding/json"
	"os"
	"testing"
)

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func decode(text []byte, into any) error { return json.Unmarshal(text, into) }
