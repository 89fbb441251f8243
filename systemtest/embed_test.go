//go:build system

package systemtest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Three processes of examples/embed are a cluster, and exclude each other: each
// raises the number in a file 25 times.
func TestEmbeddedNodes(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "embed")
	build := exec.Command("go", "build", "-o", program, "github.com/lockd-io/lockd/examples/embed")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var addresses []string
	for _, port := range freePorts(t, 3) {
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", port))
	}
	file := filepath.Join(dir, "counter")
	writeFile(t, file, "0")
	for i, listen := range addresses {
		id := fmt.Sprintf("n%d", i+1)
		start(t, exec.Command(program, id, filepath.Join(dir, id), listen, strings.Join(addresses, ","), file))
	}
	eventually(t, "all have raised it", func() bool { return strings.TrimSpace(readFile(t, file)) == "75" })
}
