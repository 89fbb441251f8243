package main

import "slices"

// table lists the planted faults: for each property that the documentation
// promises, at least one change that breaks it and the test that must notice.
func table() []fault {
	return slices.Concat(fsmFaults(), clusterFaults(), lockapiFaults(), webFaults(), []fault{
		{
			name:     "run: no SIGKILL when validity is past",
			property: "a command ends before the lock can be another's",
			file:     "cmd/lockd/internal/child/child.go",
			old:      "case left <= 0:\n\t\ts.kill()",
			new:      "case left <= 0:",
			pkg:      "./cmd/lockd/internal/child",
			test:     "TestKillAtTheEnd|TestKillAtOnceWhenPast",
		},
		{
			name:     "run: the command outlives its runner",
			property: "a command ends before the lock can be another's",
			file:     "cmd/lockd/internal/child/process_linux.go",
			old:      ", Pdeathsig: syscall.SIGKILL",
			new:      "",
			pkg:      "./cmd/lockd/internal/child",
			test:     "TestRunnerDies",
		},
	})
}
