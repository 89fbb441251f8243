package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lockd-io/lockd/cmd/lockd/internal/child"
	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/remote"
	"github.com/spf13/cobra"
)

const (
	// contactTimeout is how long run looks for a node with a leader at first.
	contactTimeout = 30 * time.Second
	// contactTimeoutMin is for a shorter --wait: even --wait 0 is a question.
	contactTimeoutMin = time.Second
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

	name string
	path string   // the command
	args []string // with the name that it is called by
}

func newRun() *cobra.Command {
	var f runFlags
	command := &cobra.Command{
		Use:   "run [flags] NAME -- COMMAND [ARG...]",
		Short: "Run a command while a lock is held",
		Long: `run acquires the lock NAME, runs COMMAND, and releases the lock when COMMAND has
ended. Without --wait it waits for its turn for ever; --wait 0 only tries.

COMMAND finds in its environment
  LOCKD_NAME     the name
  LOCKD_TOKEN    the fencing token, in decimal: hand it to what COMMAND writes to,
                 which then can refuse a writer that was paused and overtaken
  LOCKD_GRANTS   JSON of all that is held: [{"name":...,"token":"..."}]

If the lock cannot be kept, COMMAND's process group gets SIGTERM, and SIGKILL
--grace later, before anybody else can be granted the lock. COMMAND dies with
its runner too. SIGINT, SIGTERM and SIGHUP go to the whole group. While run is
stopped, as by Ctrl-Z, nothing renews the lock: it is lost once --ttl has passed.

Exit codes: COMMAND's own, or 128+n if signal n ended it;
  64  the command line is wrong
  69  no node with a leader was found for 30 s (or --wait, if shorter)
  74  the lock was lost before COMMAND ended, whatever its own code
  75  not acquired in time
  126, 127  COMMAND cannot be executed, is not found`,
		Example: `  lockd run nightly-report -- ./report.sh
  lockd run --wait 0 nightly-report -- ./report.sh || [ $? = 75 ]   # once, not twice
  lockd run --wait 5m deploy -- sh -c 'make deploy FENCE=$LOCKD_TOKEN'`,
		Args: func(command *cobra.Command, args []string) error {
			f.typedEndpoints = command.Flags().Changed("endpoints")
			if f.typedEndpoints && command.Flags().Changed("backend") {
				return usage("--endpoints and --backend both say where the locks are")
			}
			return f.parse(args, command.ArgsLenAtDash())
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp // NAME
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(command *cobra.Command, _ []string) error {
			if err := f.complete(); err != nil {
				return err
			}
			return failed(run(command.Context(), &f, command.ErrOrStderr()))
		},
	}
	flags := command.Flags()
	flags.Var(&f.wait, "wait", "how long to wait for the lock; 0 only tries (default: for ever)")
	flags.DurationVar(&f.ttl, "ttl", lockapi.DefaultTTL, "how soon others get the lock when this machine dies, 500ms to 24h")
	flags.Var(&f.grace, "grace", "between SIGTERM and SIGKILL on a loss, at most a quarter of --ttl (default: a tenth)")
	f.clientFlags.add(flags)
	flags.StringVar(&f.backend, "backend", "", "`URL` of what keeps the locks (default: lockd:// and --endpoints)")
	return command
}

// parse takes NAME -- COMMAND [ARG...]; dash is the number of words before --.
func (f *runFlags) parse(words []string, dash int) error {
	switch {
	case dash < 0:
		return usage("which words are the command? put -- before them: lockd run NAME -- COMMAND [ARG...]")
	case dash != 1:
		return usage("one NAME before --, not %d", dash)
	case len(words) == 1:
		return usage("no COMMAND after --")
	case !fsm.ValidName(words[0]):
		return usage("%q is no name: %s", words[0], fsm.LimitName)
	}
	f.name, f.args = words[0], words[1:]
	return nil
}

// complete sees that the flags go together, and that there is such a command:
// better now than when the lock is held.
func (f *runFlags) complete() error {
	if ttl := fsm.Duration(f.ttl); ttl < fsm.TTLMin || ttl > fsm.TTLMax {
		return usage("--ttl %v: %s", f.ttl, fsm.LimitTTL)
	}
	if !f.grace.limited {
		f.grace.limit = f.ttl / gracePartsDefault
	}
	if longest := f.ttl / graceParts; f.grace.limit > longest {
		return usage("--grace %v: at most a quarter of --ttl, which is %v", f.grace.limit, longest)
	}
	if f.backend == "" || f.typedEndpoints {
		f.backend = remote.Scheme + "://" + strings.Join(f.endpoints, ",")
	}
	path, err := exec.LookPath(f.args[0])
	if err != nil {
		return notExecuted(err)
	}
	f.path = path
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
	notify(signals)
	defer signal.Stop(signals)
	client, err := lockapi.Open(ctx, f.backend, lockapi.Options{TTL: f.ttl})
	if err != nil {
		return usage("%s: %w", f.backend, err)
	}
	grant, err := f.acquire(ctx, client, signals)
	if err != nil {
		farewell(client, closeTimeoutLost, signals)
		return err
	}
	ending, err := child.Run(grant, child.Command{
		Path: f.path, Args: f.args, Env: environment(grant.Name, grant.Token),
		Files: [3]*os.File{os.Stdin, os.Stdout, os.Stderr}, Grace: f.grace.limit, Signals: signals,
	})
	switch {
	case err != nil:
		farewell(client, f.ttl, signals)
		return notExecuted(err)
	case ending.Lost:
		lost := &exitError{exitLost, fmt.Errorf("lock %q was lost (%s); %s was ended", grant.Name, why(grant), f.args[0])}
		farewell(client, closeTimeoutLost, signals)
		return lost
	}
	if err := farewell(client, f.ttl, signals); err != nil {
		fmt.Fprintf(stderr, "lockd: %q is held until its TTL has passed: %v\n", grant.Name, err)
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

// notify asks for the signals that go to the command, but for those that
// whoever started the runner wants ignored, as nohup does.
func notify(signals chan<- os.Signal) {
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) {
			signal.Notify(signals, sig)
		}
	}
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

// acquire waits for the lock as long as the flags and the user allow.
func (f *runFlags) acquire(ctx context.Context, client *lockapi.Client, signals <-chan os.Signal) (*lockapi.Grant, error) {
	start := time.Now()
	ctx, done := untilSignal(ctx, signals)
	grant, err := f.acquireUntil(ctx, client, start)
	if sig := done(); sig != nil {
		return nil, &exitError{code: exitSignal + int(sig.(syscall.Signal))}
	}
	return grant, err
}

func (f *runFlags) acquireUntil(ctx context.Context, client *lockapi.Client, start time.Time) (*lockapi.Grant, error) {
	if err := f.contact(ctx, client); err != nil {
		return nil, err
	}
	mutex := client.Mutex(f.name)
	if f.wait.limited {
		left := f.wait.limit - time.Since(start)
		if left <= 0 {
			return f.judged(mutex.TryAcquire(ctx))
		}
		timed, cancel := context.WithTimeout(ctx, left)
		defer cancel()
		return f.judged(mutex.Acquire(timed))
	}
	return f.judged(mutex.Acquire(ctx))
}

// contact sees that there is a node with a leader. From its answer on, run
// keeps trying.
func (f *runFlags) contact(ctx context.Context, client *lockapi.Client) error {
	patience := contactTimeout
	if f.wait.limited {
		patience = max(contactTimeoutMin, min(patience, f.wait.limit))
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := client.Inspect(ctx, lockapi.Query{Name: f.name})
	var nobody *remote.UnreachedError
	if errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &nobody) {
		return &exitError{exitUnavailable, fmt.Errorf("%w for %v at %s", lockapi.ErrUnavailable, patience, f.backend)}
	}
	return err
}

// judged turns the end of a wait into an exit code.
func (f *runFlags) judged(grant *lockapi.Grant, err error) (*lockapi.Grant, error) {
	if errors.Is(err, lockapi.ErrNotAcquired) || errors.Is(err, context.DeadlineExceeded) {
		return nil, &exitError{exitNotAcquired, fmt.Errorf("%q was not acquired: somebody else holds it (--wait %v)", f.name, f.wait.limit)}
	}
	return grant, err
}

// untilSignal is a context that a signal ends. done must be called; it tells
// which signal came, if any.
func untilSignal(ctx context.Context, signals <-chan os.Signal) (context.Context, func() os.Signal) {
	ctx, cancel := context.WithCancel(ctx)
	came := make(chan os.Signal, 1)
	go func() {
		defer close(came)
		select {
		case sig := <-signals:
			came <- sig
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() os.Signal {
		cancel()
		return <-came
	}
}

// environment is the runner's with what the command should know of its lock.
func environment(name string, token fsm.Token) []string {
	type held struct {
		Name  string    `json:"name"`
		Token fsm.Token `json:"token,string"`
	}
	grants, err := json.Marshal([]held{{name, token}})
	if err != nil {
		panic("lockd: " + err.Error()) // a string and a number
	}
	own := []string{"LOCKD_NAME=" + name, "LOCKD_TOKEN=" + token.String(), "LOCKD_GRANTS=" + string(grants)}
	// Of two variables with one name some programs take the first: a run inside
	// a run would hand on the outer one's token.
	inherited := slices.DeleteFunc(os.Environ(), func(v string) bool {
		key, _, _ := strings.Cut(v, "=")
		return key == "LOCKD_NAME" || key == "LOCKD_TOKEN" || key == "LOCKD_GRANTS"
	})
	return append(inherited, own...)
}
