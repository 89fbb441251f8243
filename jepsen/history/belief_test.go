package history

import (
	"bytes"
	"slices"
	"testing"
)

// A belief is written as it grows, and the last line of a process that was killed
// may be half a line.
func TestBeliefs(t *testing.T) {
	var file bytes.Buffer
	for _, b := range []Belief{{1, 1, 10, 10}, {1, 1, 10, 20}, {2, 2, 30, 30}, {1, 1, 10, 15}, {1, 3, 40, 41}} {
		if err := WriteBelief(&file, b); err != nil {
			t.Fatal(err)
		}
	}
	file.WriteString(`{"client":9,"to`)
	got, err := LoadBeliefs(&file)
	if want := []Belief{{1, 1, 10, 20}, {2, 2, 30, 30}, {1, 3, 40, 41}}; err != nil || !slices.Equal(got, want) {
		t.Fatalf("%v, %v", got, err)
	}
	for _, bad := range []string{"{\"client\":1\n", "{\"cleint\":1}\n", "\n"} {
		if got, err := LoadBeliefs(bytes.NewBufferString(bad)); err == nil {
			t.Errorf("%q gives %v", bad, got)
		}
	}
}
