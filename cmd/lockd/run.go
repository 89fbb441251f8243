package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"

	"github.com/lockd-io/lockd/cmd/lockd/internal/child"
	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/remote"
	"github.com/spf13/cobra"
)

const (
	// graceParts: a longer grace than a quarter of the TTL would end healthy
	// commands in a change of leaders; a tenth is the default.
	graceParts, gracePartsDefault = 4, 10
	// closeTimeoutLost bounds the farewell of a runner that has lost its lock:
	// there is nothing left to release, most likely.
	closeTimeoutLost = time.Second
)

// A runFlags is the command line of run.
type runFlags struct {
	clientFlags
	backend string
	// typedEndpoints: on the command line, so that they win over a backend
	// that the environment names.
	typedEndpoints bool

	wait  patience
	ttl   time.Duration
	grace patience

	wants wanted
	path  string   // the command
	args  []string // with the name that it is called by
}

// runHelp is what run --help says.
const runHelp = `run acquires the lock NAME, runs COMMAND, and releases the lock when COMMAND has
ended. Without --wait it waits for its turn for ever; --wait 0 only tries.

With --shared others may hold NAME with --shared at the same time. With --permits
NAME is a semaphore: --limit permits in all, the same number for everybody. Several
NAMEs are held together or not at all: while one is not free, none is held, so two
that want the same names in another order do not wait for each other.

COMMAND finds in its environment
  LOCKD_NAME     the (first) name
  LOCKD_TOKEN    its fencing token, in decimal: hand it to what COMMAND writes to,
                 which then can refuse a writer that was paused and overtaken
  LOCKD_GRANTS   JSON of all that is held: [{"name":...,"token":"...","mode":...}],
                 mode is exclusive, shared or permits, with their number

If the lock cannot be kept, COMMAND's process group gets SIGTERM, and SIGKILL
--grace later, before anybody else can be granted the lock. COMMAND dies with
its runner too.

Signals go to COMMAND's whole group. Once one has ended it, what it has left
running is ended before the lock is released: SIGTERM, and SIGKILL --grace later.
If COMMAND ends by itself, what it has left running goes on, without the lock.

COMMAND has the terminal if run has nobody beside it in its job; behind a pipe and
in a script it is given the terminal when it asks, for a password say. Ctrl-Z
stops COMMAND before run. Nothing renews the lock then: it is lost once --ttl has
passed, and COMMAND is ended before it goes on.

What runs as another user, such as sudo and other set-uid programs, cannot be
killed by an ordinary one, and does not die with its runner: run says so, and
exits with 74 when it loses the lock of a COMMAND that may still run. Have run
itself be that user instead: sudo lockd run NAME -- COMMAND.

Exit codes: COMMAND's own, or 128+n if signal n ended it (run ends by INT, QUIT
and TERM itself then, so that Ctrl-C ends the script around it);
  64  the command line is wrong, or the name is something else to others now, or
      a run around this one holds it, which would wait for this one for ever
  69  no node with a leader was found for 30 s (or --wait, if shorter), or
      nobody answered at the end of --wait, a try (--wait 0) within a second
  74  the lock was lost before COMMAND ended, whatever its own code
  75  not acquired in time: somebody else holds it
  126, 127  COMMAND cannot be executed, is not found`

func newRun() *cobra.Command {
	var f runFlags
	command := &cobra.Command{
		Use:   "run [flags] NAME [NAME...] -- COMMAND [ARG...]",
		Short: "Run a command while locks are held",
		Long:  runHelp,
		Example: `  lockd run nightly-report -- ./report.sh
  lockd run --wait 0 nightly-report -- ./report.sh || [ $? = 75 ]   # once, not twice
  lockd run --wait 5m deploy -- sh -c 'make deploy FENCE=$LOCKD_TOKEN'
  lockd run --shared catalogue -- ./export.sh                       # beside other readers
  lockd run --permits 1 --limit 3 downloads -- ./fetch.sh           # three at a time
  lockd run accounts/1 accounts/2 -- ./transfer.sh                  # both, or none yet`,
		Args: func(command *cobra.Command, args []string) error {
			f.typedEndpoints = command.Flags().Changed("endpoints")
			if f.typedEndpoints && command.Flags().Changed("backend") {
				return usage("--endpoints and --backend both say where the locks are")
			}
			return f.parse(args, command.ArgsLenAtDash())
		},
		ValidArgsFunction: f.offer,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := f.complete(command.Flags().Changed); err != nil {
				return err
			}
			return failed(run(command.Context(), &f, command.ErrOrStderr()))
		},
	}
	flags := command.Flags()
	flags.Var(&f.wait, "wait", "how long to wait for the lock; 0 only tries (default: for ever)")
	flags.BoolVar(&f.wants.shared, "shared", false, "hold the names together with others who want them shared")
	flags.Uint32Var(&f.wants.permits, "permits", 0, "hold this many permits of the semaphore; needs --limit")
	flags.Uint32Var(&f.wants.limit, "limit", 0, "how many permits the semaphore has in all")
	flags.DurationVar(&f.ttl, "ttl", lockapi.DefaultTTL, "how soon others get the lock when this machine dies, 500ms to 24h; under 4s an election may cost the lock")
	flags.Var(&f.grace, "grace", "between SIGTERM and SIGKILL on a loss, at most a quarter of --ttl (default: a tenth)")
	f.clientFlags.add(flags)
	flags.StringVar(&f.backend, "backend", "", "`URL` of what keeps the locks (default: lockd:// and --endpoints)")
	return command
}

// parse takes NAME [NAME...] -- COMMAND [ARG...]; dash is the number of words
// before --.
func (f *runFlags) parse(words []string, dash int) error {
	switch {
	case dash < 0:
		return usage("which words are the command? put -- before them: lockd run NAME -- COMMAND [ARG...]")
	case dash == 0:
		return usage("a NAME before --, or several")
	case len(words) == dash:
		return usage("no COMMAND after --")
	}
	f.wants.names, f.args = words[:dash], words[dash:]
	return nil
}

// complete sees that the flags go together, and that there is such a command:
// better now than when the lock is held. It is told which flags were given, on the
// command line or in the environment.
func (f *runFlags) complete(given func(flag string) bool) error {
	if err := f.wants.check(given("permits"), given("limit")); err != nil {
		return err
	}
	if err := checkTTL(f.ttl); err != nil {
		return err
	}
	if !f.grace.limited {
		f.grace.limit = f.ttl / gracePartsDefault
	}
	if longest := f.ttl / graceParts; f.grace.limit > longest {
		return usage("--grace %v: at most a quarter of --ttl, which is %v", f.grace.limit, longest)
	}
	if f.backend == "" || f.typedEndpoints {
		b, err := f.dial() // sends nothing: it knows endpoints from what are none
		if err != nil {
			return err
		}
		_ = b.Close()
		f.backend = remote.Scheme + "://" + strings.Join(f.endpoints, ",")
	}
	path, err := exec.LookPath(f.args[0])
	if err != nil {
		return notExecuted(err)
	}
	f.path = path
	longest := func(string) fsm.Token { return math.MaxUint64 }
	if err := child.TooLarge(path, f.args, environment(f.wants.held(longest), math.MaxUint64)); err != nil {
		return notExecuted(err)
	}
	return nil
}

// checkTTL refuses a --ttl that no session can have.
func checkTTL(ttl time.Duration) error {
	if t := fsm.Duration(ttl); t < fsm.TTLMin || t > fsm.TTLMax {
		return usage("--ttl %v: %s", ttl, fsm.LimitTTL)
	}
	return nil
}

// notExecuted gives the codes that shells give.
func notExecuted(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return &exitError{exitNoCommand, err}
	}
	return &exitError{exitNoExecute, err}
}

// run acquires, runs and releases.
func run(ctx context.Context, f *runFlags, stderr io.Writer) error {
	signals := make(chan os.Signal, 8)
	child.Notify(signals)
	defer signal.Stop(signals)
	if how := child.Privileged(f.path); how != "" {
		fmt.Fprintf(stderr, "lockd: warning: %s is %s: it does not die with its runner, and may go on when the lock is lost; use sudo lockd run ... instead\n", f.args[0], how)
	}
	client, err := lockapi.Open(ctx, f.backend, lockapi.Options{TTL: f.ttl})
	if err != nil {
		return usage("%s: %w", f.backend, err)
	}
	grant, err := f.acquire(ctx, client, signals, stderr)
	if err != nil {
		farewell(client, closeTimeoutLost, signals)
		return err
	}
	ending, err := child.Run(grant, child.Command{
		Path: f.path, Args: f.args, Env: environment(f.wants.held(grant.TokenOf), client.Session()),
		Files: [3]*os.File{os.Stdin, os.Stdout, os.Stderr}, Grace: f.grace.limit, Signals: signals,
		Warn: func(text string) { fmt.Fprintf(stderr, "lockd: %s: %s\n", f.wants, text) },
	})
	for len(signals) > 0 {
		<-signals // the command's, who has ended; the farewell is not what they meant
	}
	switch {
	case err != nil:
		farewell(client, f.ttl, signals)
		return notExecuted(err)
	case ending.Lost:
		became := "was ended"
		if ending.Alive {
			became = "MAY STILL RUN: this user may not kill it; sudo lockd run ... could"
		}
		lost := &exitError{exitLost, fmt.Errorf("%s: lost (%s); %s %s", f.wants, why(grant), f.args[0], became)}
		farewell(client, closeTimeoutLost, signals)
		return lost
	}
	if err := farewell(client, f.ttl, signals); err != nil {
		fmt.Fprintf(stderr, "lockd: %s: held until the TTL has passed: %v\n", f.wants, err)
	}
	if ending.Signal != 0 {
		return by(signalEnd{ending.Signal, ending.Typed})
	}
	if ending.Code != 0 {
		return &exitError{code: ending.Code}
	}
	return nil
}

// why is why a grant was lost, or about to be.
func why(grant *lockapi.Grant) string {
	if cause := context.Cause(grant.Context()); cause != nil {
		return strings.TrimPrefix(cause.Error(), lockapi.ErrLost.Error()+": ")
	}
	return "it could not be renewed in time"
}

// farewell closes the client, which releases the lock. It gives up when time
// has passed or a signal comes; the lock is then held until the TTL has passed.
func farewell(client *lockapi.Client, timeout time.Duration, signals <-chan os.Signal) error {
	ctx, stop := context.WithTimeout(context.Background(), timeout)
	defer stop()
	ctx, done := untilSignal(ctx, signals)
	defer done()
	return client.Close(ctx)
}
