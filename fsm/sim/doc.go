// Package sim runs the lock machine as a cluster would, in one thread and without
// a clock: replicas that lag, restart and install each other's snapshots, leaders
// that come and go, and processes that keep the client's rules over a network that
// delays, repeats and loses what they say. Everything follows from a seed.
//
//	make sim
//	go test ./fsm/sim -run TestSimulation -seed 4711
//
// There is nothing here but tests. They see of package fsm what everybody sees.
package sim
