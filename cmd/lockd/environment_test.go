package main

import (
	"strings"
	"testing"
)

// A run inside a run hands on its own token alone: of two variables with one
// name some programs take the first.
func TestEnvironmentOfANestedRun(t *testing.T) {
	t.Setenv("LOCKD_NAME", "outer")
	t.Setenv("LOCKD_TOKEN", "1")
	t.Setenv("LOCKD_GRANTS", "[]")
	var own []string
	for _, v := range environment([]heldName{{Name: "inner", Token: 2, Mode: "exclusive"}}) {
		if key, _, _ := strings.Cut(v, "="); key == "LOCKD_NAME" || key == "LOCKD_TOKEN" || key == "LOCKD_GRANTS" {
			own = append(own, v)
		}
	}
	if got := strings.Join(own, " "); got != `LOCKD_NAME=inner LOCKD_TOKEN=2 LOCKD_GRANTS=[{"name":"inner","token":"2","mode":"exclusive"}]` {
		t.Errorf("the command sees %s", got)
	}
}
