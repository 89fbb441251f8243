// Package web serves a node over HTTP/1: its state for people with curl and for
// probes, and locks for scripts and for languages without a client.
//
//	GET /                     plain text: the node, its leader, these paths
//	GET /healthz              200 while the process serves
//	GET /readyz               200 once the node can take commands, else 503 and why
//	GET /metrics              what Options.Metrics answers, docs/metrics.md
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
//	POST /v1/locks/{name}/acquire   take a lock, or wait for it
//	POST /v1/locks/{name}/release   give it back
//	POST /v1/locks/{name}/extend    hold it longer
//	POST /v1/sessions               begin a session, which holds for as long as it is renewed
//	POST /v1/sessions/{id}/renew
//	DELETE /v1/sessions/{id}        end it, and release what it holds
//
// docs/http.md has their bodies. Errors are {"error":"...","code":"..."}: 400 for a
// bad request, 409 when a lock was not acquired, 503 when nothing was done, 504 when
// it is not known whether something was.
//
// # How it locks
//
// A client over HTTP does not number its commands. The server's lockapi.Agent does,
// in a session of this node's own, on behalf of the client's session or of nobody:
// what no session holds ends with its max_hold_ms. A wait belongs to the request,
// and ends with its connection. An Idempotency-Key finds the grant of the request
// that had it first, through any node, while that grant lives.
//
// # Who may ask
//
// There is no authentication: who reaches the port reads names, owners and
// labels, never secrets, may take any lock, and may release what no session holds. A
// web page in somebody's browser does not reach it: all but the probes refuse a Host
// that is a name of somebody else's (which is what DNS rebinding needs), no answer
// allows another origin, and what changes something is JSON, about which a browser
// asks first, and not from another origin.
//
// # Use
//
//	server, err := web.NewServer(node, web.Options{})
//	...
//	go server.Serve(port.HTTP())
//	...
//	server.Shutdown(ctx)
package web
