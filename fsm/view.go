package fsm

// LockView is one name as a list shows it.
type LockView struct {
	Name    string
	Kind    Kind    // 0 when nobody holds or waits for the name
	Limit   Permits // 0 unless a semaphore
	Holders []HolderView
	Waiters []WaiterView
}

// HolderView is one hold of a name.
type HolderView struct {
	Session SessionID
	Label   string
	Owner   string
	Mode    Mode
	Permits Permits
	Count   uint32 // grants of the hold
	Token   Token
	Held    Duration // since the hold's first grant
	Expires Duration // until the first of session and MaxHold ends the hold
}

// WaiterView is one place in a name's queue.
type WaiterView struct {
	Session  SessionID
	Label    string
	Owner    string
	Mode     Mode
	Permits  Permits
	Position uint32 // from 1
	Waiting  Duration
}
