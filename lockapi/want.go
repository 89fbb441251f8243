package lockapi

import (
	"math"

	"github.com/lockd-io/lockd/fsm"
)

// permitsMax is what the machine's numbers of permits can say.
const permitsMax = math.MaxUint32

// Exclusive wants a name for one owner alone, as Mutex does. It is for Client.All.
func Exclusive(name string) fsm.Want {
	return fsm.Want{Name: name, Kind: fsm.KindLock, Mode: fsm.Exclusive}
}

// Shared wants a name together with others who want it shared, as RWMutex.RAcquire
// does. It is for Client.All.
func Shared(name string) fsm.Want {
	return fsm.Want{Name: name, Kind: fsm.KindLock, Mode: fsm.Shared}
}

// Permits wants n permits of a semaphore with this limit, as Semaphore does. It is
// for Client.All.
func Permits(name string, n, limit int) fsm.Want {
	return fsm.Want{Name: name, Kind: fsm.KindSemaphore, Mode: fsm.Counted, Permits: permits(n), Limit: permits(limit)}
}

// permits is n in the machine's numbers; what none of them says becomes one that
// is refused, or over every limit.
func permits(n int) fsm.Permits { return fsm.Permits(max(0, min(int64(n), permitsMax))) }
