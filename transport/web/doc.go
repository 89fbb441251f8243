// Package web serves a node's state over HTTP/1, for people with curl, for
// scripts and for probes. It only reads.
//
//	GET /                     plain text: the node, its leader, these paths
//	GET /healthz              200 while the process serves
//	GET /readyz               200 once the node can take commands, else 503 and why
//	GET /v1/status            the cluster as this node sees it (lockapi.Status)
//	GET /v1/locks             a page of locks: {"locks":[...],"more":bool}
//	GET /v1/locks/{name}      one lock (lockapi.LockDocument); an idle one has "kind":""
//
// A name is one percent-encoded segment of the path: the lock a/b is
// /v1/locks/a%2Fb. A page takes the parameters prefix, after (names greater than
// this one: give the last name of the page before), limit (1..1,000, by default
// 100) and stale. Both take stale=true, which reads what this node has applied
// without asking the leader; the default is linearizable. The headers
// Lockd-Applied-Index and Lockd-Machine-Time-Ms say as of when an answer is.
//
// Errors are {"error":"..."}: 400 for a bad request, 503 when the answer cannot
// be had now.
//
// # Who may ask
//
// There is no authentication: who reaches the port reads names, owners and
// labels, never secrets. A web page in somebody's browser does not reach it: all
// but the probes refuse a Host that is a name of somebody else's (which is what
// DNS rebinding needs), and no answer allows another origin.
//
// # Use
//
//	server, err := web.NewServer(node, web.Options{})
//	...
//	go server.Serve(port.HTTP())
//	...
//	server.Shutdown(ctx)
package web
