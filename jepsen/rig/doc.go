// Package rig is a cluster to be maltreated: real `lockd serve` processes, each
// in a network namespace and on a disk image of its own, and a namespace for the
// clients. It needs root, iproute2, nftables and e2fsprogs, and touches nothing
// that it has not made.
//
// What it does to the cluster is a Fault: it is begun, lasts a while, and is
// undone. A Nemesis begins one after the other, by a seed, and writes down when.
package rig
