// Package mem is the lock machine in this process: a lockapi.Backend for tests
// of applications, for trying things out, and for a program that may one day
// have a second process.
//
// It is the same machine as the replicated one (package fsm), put in order by a
// mutex. What it promises is the same, but for one thing: it is as mortal as
// the process.
//
//	client, err := lockapi.Open(ctx, "mem://test", lockapi.Options{})
//
// Everybody in the process who opens the same name shares a machine, which
// stays for as long as the process does, so that its tokens never repeat; so
// use a few names, or New, whose machine goes with the last reference to it. In
// a testing/synctest bubble use New: a machine must not be shared between
// bubbles.
//
// Time is the runtime's monotonic clock. A timer applies an empty entry when
// something is due, so sessions expire and waits end without anybody asking.
// Nothing runs while no Backend of a machine is open; its time goes on.
package mem
