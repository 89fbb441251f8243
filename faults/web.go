package main

// webFaults are those of locks over HTTP.
func webFaults() []fault {
	const web = "./transport/web"
	return []fault{
		{
			name: "web: a page of any origin may change something", property: "a stranger's web page takes no lock",
			file: "transport/web/guard.go", old: "case !ownOrigin(r):", new: "case false:",
			pkg: web, test: "TestChangesAreRefused",
		},
		{
			name: "web: an origin is ours as a host is", property: "a stranger's web page takes no lock",
			file: "transport/web/guard.go", old: "strings.EqualFold(u.Host, r.Host)", new: "(&Server{}).ours(u.Host)",
			pkg: web, test: "TestChangesAreRefused",
		},
		{
			name: "web: of two origins one is looked at", property: "a stranger's web page takes no lock",
			file: "transport/web/guard.go", old: "len(origins) == 1 && ", new: "",
			pkg: web, test: "TestTwoOriginsAreForeign",
		},
		{
			name: "web: losses are told as they come", property: "a loss is told once, and none is left out",
			file: "transport/web/sessions.go", old: "if o.Event != fsm.EventID(a.Seen+1) {", new: "if false {",
			pkg: web, test: "TestLossesInTheirTurn",
		},
		{
			name: "web: a form may change something", property: "a stranger's web page takes no lock",
			file: "transport/web/guard.go", old: "case (method == http.MethodPost || r.ContentLength != 0) && kind != typeJSON:", new: "case method == \"\" && kind != typeJSON:",
			pkg: web, test: "TestChangesAreRefused",
		},
		{
			name: "web: any host is ours", property: "a stranger's web page takes no lock",
			file: "transport/web/route.go", old: "case !probe && !s.ours(r.Host):", new: "case false && probe:",
			pkg: web, test: "TestChangesAreRefused|TestHost",
		},
		{
			name: "web: unknown fields are passed over", property: "what is asked is what is done",
			file: "transport/web/change.go", old: "d.DisallowUnknownFields()", new: "",
			pkg: web, test: "TestChangesAreRefused",
		},
		{
			name: "web: what follows the body is passed over", property: "what is asked is what is done",
			file: "transport/web/change.go", old: "more != io.EOF", new: "more != io.EOF && false",
			pkg: web, test: "TestChangesAreRefused",
		},
		{
			name: "web: a body has no end", property: "what a client can make a node hold is bounded",
			file: "transport/web/change.go", old: "http.MaxBytesReader(w, r.Body, bodySizeMax)", new: "r.Body",
			pkg: web, test: "TestChangesAreRefused",
		},
		{
			name: "web: a key is the same for every name", property: "a key finds the grant of its own request",
			file: "transport/web/acquire.go", old: `keyOf(r, "acquire", to.Session.String(), name)`, new: `keyOf(r, "acquire", to.Session.String())`,
			pkg: web, test: "TestKeyIsOfOneRequest",
		},
		{
			name: "web: who guesses a key has the session", property: "a secret is told once",
			file: "transport/web/sessions.go", old: `keyOf(r, "session", hex.EncodeToString(secret[:]))`, new: `keyOf(r, "session")`,
			pkg: web, test: "TestSessionIsOpenedOnceWithAKey",
		},
		{
			name: "web: nobody's answer is taken for somebody else's lock", property: "S20: who is told that somebody else holds it was told so by the machine",
			file: "transport/web/refusal.go", old: "case errors.Is(err, lockapi.ErrNotAcquired):", new: "case errors.Is(err, lockapi.ErrNotAcquired), errors.Is(err, context.DeadlineExceeded):",
			pkg: web, test: "TestSilenceIsNotBusy",
		},
		{
			name: "web: a session ends without its secret", property: "a session is ended by who has its secret",
			file: "transport/web/sessions.go", old: "if _, err := s.attach(ctx, b, 0); err != nil {", new: "if err := error(nil); err != nil {",
			pkg: web, test: "TestSession$",
		},
		{
			name: "web: a wrong secret is repeated", property: "secrets are in no log and no answer",
			file: "transport/web/change.go", old: `"%s: %d bytes in hexadecimal are wanted", headerSecret, len(secret)`, new: `"%s: not %q", headerSecret, text`,
			pkg: web, test: "TestSecretsAreNotTold",
		},
		{
			name: "web: a wait outlives its client", property: "who goes away leaves no place in a queue",
			file: "transport/web/acquire.go", old: "context.WithTimeout(r.Context(), wait+changeTimeout)", new: "context.WithTimeout(context.WithoutCancel(r.Context()), wait+changeTimeout)",
			pkg: web, test: "TestWaitEndsWithItsClient",
		},
		{
			name: "web: a second refusal hides the first doubt", property: "what may have been done is not said to be undone",
			file: "transport/web/change.go", old: "doubt = doubt || unknown", new: "doubt = unknown",
			pkg: web, test: "TestDoubtIsKept",
		},
		{
			name: "web: overload comes before doubt", property: "what may have been done is not said to be undone",
			file: "transport/web/refusal.go", old: "case errors.Is(err, lockapi.ErrUnknown):", new: "case errors.Is(err, lockapi.ErrUnknown) && !errors.Is(err, lockapi.ErrOverloaded):",
			pkg: web, test: "TestUnknownIsNotOverloaded",
		},
		{
			name: "agent: a session's end settles what was asked under it", property: "what may have been done is not said to be undone",
			file: "lockapi/agent.go", old: "for doubt := false; ; doubt = true {", new: "for doubt := false; ; {",
			pkg: "./lockapi", test: "TestAgentKeepsItsDoubt",
		},
		{
			name: "web: the last of two fields is taken", property: "what is asked is what is done",
			file: "transport/web/change.go", old: "case seen[name]:", new: "case false:",
			pkg: web, test: "TestChangesAreRefused",
		},
		{
			name: "web: null is nothing", property: "what is asked is what is done",
			file: "transport/web/change.go", old: "case value == nil || nested:", new: "case nested:",
			pkg: web, test: "TestChangesAreRefused",
		},
		{
			name: "web: fields fold their case", property: "what is asked is what is done",
			file: "transport/web/change.go", old: "case strings.Trim(name, \"abcdefghijklmnopqrstuvwxyz_\") != \"\":", new: "case strings.Trim(name, \"\") == \"\":",
			pkg: web, test: "TestChangesAreRefused",
		},
		{
			name: "web: a secret without its session is nobody's", property: "what a session means to hold ends with it",
			file: "transport/web/acquire.go", old: `case r.Header.Get(headerSecret) != "":`, new: "case false:",
			pkg: web, test: "TestChangesAreRefused",
		},
		{
			name: "web: the URL is passed over", property: "what is asked is what is done",
			file: "transport/web/change.go", old: `if r.URL.RawQuery != "" {`, new: "if false {",
			pkg: web, test: "TestChangesAreRefused",
		},
		{
			name: "web: waits take every place", property: "a release finds a place",
			file: "transport/web/limits.go", old: "waitsMax = writesMax * 3 / 4", new: "waitsMax = writesMax",
			pkg: web, test: "TestWaitsLeaveRoomForWhatEndsThem",
		},
		{
			name: "web: a wait has the connection's deadlines", property: "a wait lasts as long as it was asked to",
			file: "transport/web/acquire.go", old: "	allow(w, wait+changeTimeout)\n", new: "	_ = allow\n",
			pkg: web, test: "TestWaitOutlastsDeadlines",
		},
		{
			name: "web: overload does not say when", property: "who is refused for load knows when to come again",
			file: "transport/web/answer.go", old: "w.Header().Set(\"Retry-After\", retryAfter(overload.RetryAfter))", new: "",
			pkg: web, test: "TestOverload",
		},
		{
			name: "web: 503 does not say when", property: "who is told that nothing was done knows when to come again",
			file: "transport/web/answer.go", old: "	later(w, status)\n", new: "",
			pkg: web, test: "TestErrors",
		},
	}
}
