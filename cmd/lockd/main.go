// Command lockd serves locks, and uses them from the command line.
//
//	lockd dev                              a cluster to play with, in one process
//	lockd serve --node-id n1 ...           one node of a real one
//	lockd run NAME -- COMMAND [ARG...]     runs COMMAND while NAME is held
//	lockd ls, show, status, members        look at locks and nodes
//	lockd bench                            measures a cluster
//	lockd jepsen                           judges one
//
// Each has --help with examples. This package joins the parts and turns flags
// into their options; what a part does is the part's own business.
package main

import "os"

func main() {
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
}
