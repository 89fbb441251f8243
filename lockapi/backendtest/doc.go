// Package backendtest is the contract of lockapi.Backend as a test suite. An
// implementor's test is
//
//	func TestContract(t *testing.T) {
//		backendtest.Run(t, func(t *testing.T) lockapi.Backend { return open(t) })
//	}
//
// The suite speaks the protocol itself, command by command, and at the end lets
// the client engine loose on the backend. It shares one backend among its
// parts, on names and sessions of its own, and opens another to close it. It
// asserts order and outcome, never speed; it gives up on what takes a minute.
package backendtest
