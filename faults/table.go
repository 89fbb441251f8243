package main

import "slices"

// table lists the planted faults: for each property that the documentation
// promises, at least one change that breaks it and the test that must notice.
func table() []fault {
	return slices.Concat(
		fsmFaults(),
		clusterFaults(),
		logFaults(),
		memberFaults(),
		lockapiFaults(),
		webFaults(),
		serveFaults(),
		checkerFaults(),
		sceneFaults(),
		childFaults(),
		runFaults(),
	)
}

// runFaults are those of how run asks, and what it says of it.
func runFaults() []fault {
	return []fault{
		{
			name:     "run: a try waits for whoever does not answer",
			property: "--wait 0 does not wait, also when nobody answers any more",
			file:     "cmd/lockd/acquire.go",
			old:      "context.WithTimeout(ctx, tryTimeout)",
			new:      "context.WithTimeout(ctx, time.Hour)",
			pkg:      "./cmd/lockd",
			test:     "TestServiceGoesAway",
		},
		{
			name:     "run: no answer is taken for somebody else's lock",
			property: "exit code 75 says that somebody else holds the lock",
			file:     "cmd/lockd/acquire.go",
			old:      "case errors.Is(err, lockapi.ErrNotAcquired):",
			new:      "case errors.Is(err, lockapi.ErrNotAcquired), errors.Is(err, context.DeadlineExceeded):",
			pkg:      "./cmd/lockd",
			test:     "TestServiceGoesAway",
		},
		{
			name:     "run: it waits for itself",
			property: "a run that would wait for the one around it for ever says so",
			file:     "cmd/lockd/around.go",
			old:      "case exclusive, shared && !w.shared,",
			new:      "case exclusive && shared,",
			pkg:      "./cmd/lockd",
			test:     "TestDeadlock",
		},
		{
			name:     "run: another cluster's lock is that of the run around it",
			property: "a run that would wait for the one around it for ever says so, and no other",
			file:     "cmd/lockd/around.go",
			old:      "o.Token == h.Token && o.Session == h.Session &&",
			new:      "o.Token == h.Token &&",
			pkg:      "./cmd/lockd",
			test:     "TestDeadlock",
		},
		{
			name:     "run: what cannot be executed is found out under the lock",
			property: "a command that cannot be executed takes no lock",
			file:     "cmd/lockd/run.go",
			old:      "environment(f.wants.held(longest), math.MaxUint64)); err != nil {",
			new:      "environment(f.wants.held(longest), math.MaxUint64)); err != nil && f.path == \"\" {",
			pkg:      "./cmd/lockd",
			test:     "TestNamesThatFillTheEnvironment",
		},
		{
			name:     "run: no permits are a lock",
			property: "what is asked for with --permits is a semaphore",
			file:     "cmd/lockd/wanted.go",
			old:      "case permits && w.permits == 0:",
			new:      "case permits && w.permits == 0 && false:",
			pkg:      "./cmd/lockd",
			test:     "TestWantedContradictsItself",
		},
	}
}
