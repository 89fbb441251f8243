package history

// A Belief is a time in which a client was sure that it held an exclusive lock:
// its first look at the grant and the last one at which it was still valid, on the
// clock of the history.
type Belief struct {
	Client int    `json:"client"`
	Token  uint64 `json:"token"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
}
