// Package bench measures lock cycles (an acquire and the release after it) as
// clients see them. A client is a goroutine that does one cycle after the other;
// clients share streams, which are lockapi.Clients, each with a session and a
// backend of its own.
//
//	b, err := bench.Open(ctx, bench.Plan{Clients: 64, Streams: 1, Duration: time.Second}, dial)
//	if err != nil { ... }
//	m := b.Run(ctx, time.Now())
//	err = b.Close(ctx)
//	fmt.Println(m.Row().CyclesPerSecond)
//
// # What is counted
//
// A cycle counts if its acquire and its release both ended within Duration,
// which begins after Warmup. It lasts from the call of Acquire to the return of
// Release, and nothing happens in between but the checks below. Its first
// session was opened, and its first link made, before. The quantile p of n
// values is number p*n of them in order, from 0, rounded down: p99 of a hundred
// is the greatest.
//
// # What is checked
//
// The measurement is worthless if the locks are not locks. So the tokens of a
// name must rise, and of two grants of one name that this process has at one
// time, one at most may be valid. A violation ends the run. (An operator who
// releases by force causes what looks like one.)
//
// # More than one process
//
// One process may be too slow to see how fast a cluster is. Work is the part of
// a bench in another process, and a Fleet tells such processes when to begin and
// merges what they measured, exactly: what they send is counts, not quantiles.
package bench
