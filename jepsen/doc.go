// Package jepsen is the suite that disbelieves everything. It uses a lock service
// as clients would who do not trust it (workload), records what befell them
// (history), judges that by what a lock service may answer (model, verdict), and
// draws it (report). So far it knows no more of lockd than lockapi.Backend: whatever
// implements that can be judged by it.
//
// The tests here, behind the build tags jepsen and planted, do that to real lockd
// processes that are maltreated meanwhile (rig), and to such as have a fault planted.
package jepsen
