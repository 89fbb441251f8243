package main

// serveFaults are those of what a process meets: signals, addresses, limits.
func serveFaults() []fault {
	return []fault{
		{
			name: "serve: what was ignored at its start ends it", property: "a node outlives the line that it was started from, under nohup",
			file: "cmd/lockd/signals.go", old: "syscall.SIGINT, syscall.SIGHUP}, signal.Ignored)", new: "syscall.SIGINT, syscall.SIGHUP}, func(os.Signal) bool { return false })",
			pkg: "./cmd/lockd", test: "TestIgnoredStaysIgnored",
		},
	}
}
