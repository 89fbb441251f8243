package lockapi

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// DefaultTTL outlives the gap of a change of leaders and leaves a client that
// renews every third of it two more tries.
const DefaultTTL = 10 * time.Second

// Options of a Client. The zero value works.
type Options struct {
	// TTL is how long the service waits for a sign of life of this client
	// before it gives away what it holds. 0 is DefaultTTL; else 500 ms to 24 h.
	// Under about 4 s a change of leaders costs grants.
	TTL time.Duration
	// Label says in lists who this is: at most 128 bytes of UTF-8. "" is
	// host/pid/program.
	Label string
	// SessionFile, if not empty, is where the client writes down which session it
	// has, before it acquires anything under it, so that the process that comes
	// after a crash goes on with what this one held and waited for: see
	// Client.Resume. Each process needs a file of its own, on a disk that survives
	// what the process does not. The file has mode 0600: whoever can read it can
	// speak for the session. Close removes it.
	SessionFile string
	// OnWarning, if not nil, is called when all that the client holds will be lost
	// in less than WarnBefore unless the service answers, and once more when that
	// has ended in one way or the other. (A MaxHold that runs out is no news, and no
	// cause: Grant.ValidUntil tells it.) Calls come one at a time, in order, on a
	// goroutine of their own, without any lock of the client's; the function may call
	// anything of this package. It is not called for what Close ends, and a call may
	// still be under way when Close returns.
	OnWarning func(Warning)
	// WarnBefore is how early OnWarning warns. 0 is a third of what a TTL leaves
	// after the margin: 3 s of 10 s. It must be shorter than what is left when a
	// renewal is answered late, about half of the TTL, or it would warn for nothing.
	WarnBefore time.Duration
	// Logger hears of sessions that begin and end and of grants that are lost.
	// nil is silent.
	Logger *slog.Logger

	// now is the clock of beliefs; nil is the system's. It must never be set
	// back and should run on while the machine sleeps.
	now func() time.Duration
}

// validate tells all that is wrong at once.
func (o *Options) validate() error {
	var wrong []error
	if ttl := fsm.Duration(o.TTL); o.TTL != 0 && (ttl < fsm.TTLMin || ttl > fsm.TTLMax) {
		wrong = append(wrong, fmt.Errorf("%w (%s): TTL is %v", ErrInvalid, fsm.LimitTTL, o.TTL))
	}
	ttl := o.TTL
	if ttl == 0 {
		ttl = DefaultTTL
	}
	if most := warnMost(ttl); o.WarnBefore < 0 || o.WarnBefore > 0 && o.WarnBefore > most {
		wrong = append(wrong, fmt.Errorf("%w: WarnBefore is %v: with a TTL of %v it is 0 to %v", ErrInvalid, o.WarnBefore, ttl, most))
	}
	if o.WarnBefore != 0 && o.OnWarning == nil {
		wrong = append(wrong, fmt.Errorf("%w: WarnBefore is set, and OnWarning is not", ErrInvalid))
	}
	if !fsm.ValidText(o.Label, fsm.LabelSizeMax) {
		wrong = append(wrong, fmt.Errorf("%w (%s)", ErrInvalid, fsm.LimitLabel))
	}
	return errors.Join(wrong...)
}

// withDefaults fills in what is zero.
func (o Options) withDefaults() Options {
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.Label == "" {
		o.Label = defaultLabel()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.now == nil {
		o.now = systemClock()
	}
	return o
}

// defaultLabel is host/pid/program, shortened to what a label may have.
func defaultLabel() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	program := "unknown"
	if len(os.Args) > 0 {
		program = filepath.Base(os.Args[0])
	}
	return cutLabel(host + "/" + strconv.Itoa(os.Getpid()) + "/" + program)
}

func cutLabel(label string) string {
	label = strings.ReplaceAll(label, "\x00", "")
	label = label[:min(len(label), fsm.LabelSizeMax)]
	return strings.ToValidUTF8(label, "") // a rune that was cut in two, too
}
