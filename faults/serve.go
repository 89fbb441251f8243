package main

// serveFaults are those of what a process meets: signals, addresses, limits.
func serveFaults() []fault {
	return []fault{
		{
			name: "serve: what was ignored at its start ends it", property: "a node outlives the line that it was started from, under nohup",
			file: "cmd/lockd/signals.go", old: "syscall.SIGINT, syscall.SIGHUP}, signal.Ignored)", new: "syscall.SIGINT, syscall.SIGHUP}, func(os.Signal) bool { return false })",
			pkg: "./cmd/lockd", test: "TestIgnoredStaysIgnored",
		},
		{
			name: "serve: a name is on loopback", property: "what others may reach wants a key",
			file: "cmd/lockd/serve.go", old: "return ip != nil && ip.IsLoopback()", new: "return ip == nil || ip.IsLoopback()",
			pkg: "./cmd/lockd", test: "TestOffLoopback",
		},
		{
			name: "serve: all addresses are on loopback", property: "what others may reach wants a key",
			file: "cmd/lockd/serve.go", old: "if err != nil || host == \"localhost\" {", new: "if err != nil || host == \"\" || host == \"localhost\" {",
			pkg: "./cmd/lockd", test: "TestOffLoopback",
		},
		{
			name: "port: who says nothing takes all descriptors", property: "connections leave descriptors for nodes and files",
			file: "transport/port.go", old: "if c.room != ample {\n\t\tlimit = 1", new: "if false {\n\t\tlimit = 1",
			pkg: "./transport", test: "TestCrowdLeavesDescriptors",
		},
		{
			name: "port: clients take the descriptors of nodes", property: "connections leave descriptors for nodes and files",
			file: "transport/port.go", old: "if c.room != ample && !p.makeRoom(c) {", new: "if false && !p.makeRoom(c) {",
			pkg: "./transport", test: "TestClientsLeaveDescriptors",
		},
		{
			name: "port: connections take the descriptors of files", property: "connections leave descriptors for nodes and files",
			file: "transport/port.go", old: "case c.room == filesOnly:", new: "case false:",
			pkg: "./transport", test: "TestFilesKeepTheirDescriptors",
		},
	}
}
