// Package systemtest runs real lockd processes and does to them what happens to
// processes: they are killed, stopped, restarted, cut off from each other, and
// their connections are reset. Its tests need root (for network namespaces) and
// Debian's iproute2 and nftables; `make test-system` runs them. They are behind
// the build tag `system`, so that plain `go test ./...` needs neither.
//
// Figures that a test measures are logged, not asserted: machines are noisy.
// What is asserted is order and outcome, and lower bounds that safety needs.
package systemtest
