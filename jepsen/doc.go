// Package jepsen is the suite that disbelieves everything. It uses a lock service
// as clients would who do not trust it (workload), records what befell them
// (history), and judges that by what a lock service may answer (model, verdict).
//
// It knows no more of lockd than lockapi.Backend, so that whatever implements that
// can be judged by it.
package jepsen
