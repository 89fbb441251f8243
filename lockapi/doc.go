// Package lockapi is what an application programs against: locks that many
// processes agree on, over whatever orders them (a Backend). The API is written
// once; the backend is a URL.
//
//	client, err := lockapi.Open(ctx, "lockd://10.0.0.1:7600,10.0.0.2:7600", lockapi.Options{})
//	if err != nil { ... }
//	defer client.Close(context.Background())
//
//	grant, err := client.Mutex("invoices/2024").Acquire(ctx)
//	if err != nil { ... }
//	defer grant.Release(context.Background())
//
//	work(grant.Context(), grant.Token)
//
// A backend registers its scheme when its package is imported, so import the
// one that you open: lockapi/remote for lockd://, lockapi/mem for mem://. A
// cluster.Node is a Backend itself; New makes a client of it.
//
// # The nouns
//
// A Client is one life at the service: a session with a TTL, renewed in the
// background, which holds what is acquired through it. One per process is
// enough; any number of goroutines share it.
//
// A Mutex is a name that one owner holds at a time; an RWMutex one that readers
// share; a Semaphore a number of permits; an All several of these, held together
// or not at all. A Grant is one successful acquire, with a fencing Token for each
// name: greater than that of any hold before, of any name, for ever. Every
// acquire is its own owner, so that goroutines exclude each other; WithOwner
// makes acquires of one owner re-entrant, but for permits: more of them are more.
//
// # Before a loss
//
// Options.OnWarning is called when all that the client holds will be lost soon
// unless the service answers, and again when that has been averted, or has not.
//
// # After a crash
//
// With Options.SessionFile the client writes down which session it has, and the
// process that comes after a crash, within the TTL, goes on with it by
// Client.Resume: it gets the grants, those too of which the process before never
// heard, and the places in queues. The process before, should it live, is fenced.
//
// # What you may rely on
//
//   - At most one owner holds a lock, as the service sees it, or any number that
//     share it; the permits of a semaphore that are held are never more than its
//     limit.
//   - While Grant.Valid is true the service has not given the lock to anybody
//     else, however slow the network and however wrong the clocks, as long as
//     their rates differ by less than a thousandth. The client counts from when
//     it first sent what the service acknowledged, and stops a margin early:
//     the greater of a tenth of the TTL and 200 ms. (Not against an operator
//     who releases by force.)
//   - Acquire succeeds only with a grant that is valid then. It waits first
//     come, first served; nobody overtakes.
//   - A grant that has ended stays ended, even if the service is heard from
//     again: its Context is done for good, Valid stays false, and the client
//     releases what is left of it before it does anything else.
//   - When the context of an Acquire ends, neither a hold nor a place in the
//     queue is left behind. If nobody can be reached just then, the client goes
//     on withdrawing in the background, and should the client die, the end of
//     its session does it.
//   - Every command takes effect once or never, however often the client had
//     to send it.
//   - Release may be called twice, late, and with a context that has ended.
//
// # What you may not
//
//   - That a process stops when it loses a lock. Work under Grant.Context, look
//     at Grant.Valid before an act that cannot be undone, and where two writers
//     would do harm give Grant.Token to what is written, to be refused there
//     when it has seen a greater one. Only that protects against a process
//     that is paused between the look and the act, and against pauses of a
//     virtual machine that no clock inside it shows.
//   - Grants across an outage: a client that cannot reach the service for the
//     most part of its TTL loses what it holds, even where the service itself,
//     having no leader, counts no time. With the default TTL of 10 s a change
//     of leaders is no such outage; under about 4 s it may be.
//   - The order of commands that goroutines send without waiting for each
//     other's answers.
//   - A grant's Count after the acquire that gave it.
//
// # Errors
//
// errors.Is finds the kind: ErrNotAcquired says that somebody else holds the lock,
// by the word of the service; ErrUnavailable and ErrUnknown that there was no such
// word, and nothing, or perhaps something, was done; ErrLost that a grant ended
// before its release, and so on; each says what to do. An error of a call whose
// context ended is that context's error, too.
//
// # For implementors
//
// An Agent acquires on behalf of those who do not speak to the machine themselves;
// it is for doors of a node, such as HTTP.
//
// Backend is the contract, package backendtest is it as a suite. The engine
// calls a Backend without holding a lock, sends a command again until it is
// answered, and never has more under way than the machine's window.
package lockapi
