package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lockd-io/lockd/cluster"
	"github.com/lockd-io/lockd/transport"
	"github.com/spf13/cobra"
)

const (
	devNodes      = 3
	devPortsStep  = 10
	endpointFirst = "127.0.0.1:7600" // what clients dial unless told otherwise
)

// A devFlags is the command line of a cluster in one process.
type devFlags struct {
	dir    string
	listen string
	log    logFlags
}

func newDev() *cobra.Command {
	var f devFlags
	command := &cobra.Command{
		Use:   "dev",
		Short: "Run a three-node cluster in this process, to play with",
		Long: `dev runs a three-node cluster in this process, on ports 7600, 7610 and 7620 of
loopback. Its data is in a temporary directory that is removed at the end,
unless --dir names one.

It prints "ready endpoints=..." last, once a leader is elected. Ctrl-C ends it.`,
		Example: `  lockd dev
  lockd dev --dir ./data                   # keeps what is held, and its tokens, for the same --listen
  lockd dev --listen 127.0.0.1:9000        # on 9000, 9010 and 9020`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, _ []string) error {
			return failed(dev(command.Context(), &f, command.OutOrStdout(), command.ErrOrStderr()))
		},
	}
	flags := command.Flags()
	flags.StringVar(&f.dir, "dir", "", "directory for the data, kept at the end (default: a temporary one)")
	flags.StringVar(&f.listen, "listen", endpointFirst, "`HOST:PORT` of the first node; the others are at +10 and +20")
	f.log.add(command, "error")
	return command
}

// dev runs the cluster until it is told to end or a node stops by itself.
func dev(ctx context.Context, f *devFlags, stdout, stderr io.Writer) (err error) {
	logger, level, err := f.log.logger(stderr)
	if err != nil {
		return err
	}
	if !onLoopback(f.listen) {
		return usage("--listen %s: dev serves loopback only; see lockd serve", f.listen)
	}
	ctx, restore := signal.NotifyContext(ctx, endings()...)
	defer restore()
	dir := f.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "lockd-dev-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	if err := devDir(dir); err != nil {
		return err
	}
	ports, addresses, err := devPorts(f.listen)
	if err != nil {
		return err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	var nodes []*server
	defer func() {
		level.Set(slog.LevelError + 1) // what nodes have to say of each other's end is no news
		err = errors.Join(err, closeAll(nodes, ports[len(nodes):]))
	}()
	for i, port := range ports {
		id := "n" + strconv.Itoa(i+1)
		s, err := startServer(port, cluster.Config{
			ID: id, DataDir: filepath.Join(dir, id), Join: addresses, BootstrapExpect: devNodes, ClusterKey: key,
			Logger: logger.With("node", id),
		})
		if err != nil {
			return err
		}
		nodes = append(nodes, s)
	}
	if err := moved(ctx, nodes, addresses); err != nil {
		return err
	}
	for _, s := range nodes {
		if err := s.node.WaitReady(ctx); err != nil {
			return endOfDev(ctx, err)
		}
	}
	greet(stdout, addresses)
	return endOfDev(ctx, awaitAny(ctx, nodes))
}

// devDir refuses a directory that is somebody else's: it may be there or not, and
// have the nodes of an earlier dev.
func devDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return usage("--dir %s: %w", dir, err)
	}
	for _, entry := range entries {
		switch entry.Name() {
		case "n1", "n2", "n3", "lost+found":
		default:
			return usage("--dir %s is not empty, and not of an earlier dev: it has %q, for one. Nothing was changed; give another, which is made if it is not there",
				dir, entry.Name())
		}
	}
	return nil
}

// moved refuses a cluster of --dir that began at other addresses: its nodes would
// look for each other there for ever, and say nothing.
func moved(ctx context.Context, nodes []*server, addresses []string) error {
	for i, s := range nodes {
		status, err := s.node.Status(ctx)
		if err != nil {
			return err
		}
		for _, member := range status.Nodes {
			if member.ID == status.Node && member.Address != addresses[i] {
				return usage("--listen %s: %s of the cluster in --dir is at %s, where the others look for it: "+
					"--listen as it was, or another --dir", addresses[0], member.ID, member.Address)
			}
		}
	}
	return nil
}

// greet ends with the line that scripts wait for.
func greet(w io.Writer, addresses []string) {
	more := ""
	if addresses[0] != endpointFirst {
		more = "--endpoints " + addresses[0] + " "
	}
	fmt.Fprintf(w, "Three nodes. In another terminal, hold a lock for ten seconds: lockd run %sdemo -- sleep 10\n", more)
	fmt.Fprintf(w, "See who holds what: lockd ls %s  or  http://%s/v1/locks\n", strings.TrimSpace(more), addresses[0])
	fmt.Fprintf(w, "Ctrl-C ends it.\nready endpoints=%s\n", strings.Join(addresses, ","))
}

// devPorts listens on the three ports, so that all addresses are known before
// the first node starts. With port 0 each takes a free one.
func devPorts(first string) (ports []*transport.Port, addresses []string, err error) {
	host, number, err := splitListen(first)
	if err != nil {
		return nil, nil, err
	}
	if last := number + (devNodes-1)*devPortsStep; last > math.MaxUint16 {
		return nil, nil, usage("--listen %s: the last node would have port %d; leave room for +%d", first, last, (devNodes-1)*devPortsStep)
	}
	for i := range devNodes {
		port := 0
		if number != 0 {
			port = int(number) + i*devPortsStep
		}
		p, err := transport.Listen(net.JoinHostPort(host, strconv.Itoa(port)), transport.Options{})
		if err != nil {
			_ = closeAll(nil, ports)
			return nil, nil, err
		}
		ports = append(ports, p)
		addresses = append(addresses, p.Addr().String())
	}
	return ports, addresses, nil
}

// awaitAny returns when ctx has ended, or with the reason of the first node
// that stopped by itself.
func awaitAny(ctx context.Context, nodes []*server) error {
	stopped := make(chan error, len(nodes))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, s := range nodes {
		go func() {
			select {
			case <-s.node.Done():
				stopped <- s.node.Err()
			case <-ctx.Done():
			}
		}()
	}
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// endOfDev: being told to end is success.
func endOfDev(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return &exitError{exitSoftware, err}
}

// closeAll ends nodes, and ports that have none. All end together, so nobody
// needs to be told who leads next.
func closeAll(nodes []*server, ports []*transport.Port) error {
	errs := make(chan error, len(nodes))
	for _, s := range nodes {
		go func() { errs <- s.close() }()
	}
	for _, p := range ports {
		_ = p.Close() // nobody has used it
	}
	var err error
	for range nodes {
		err = errors.Join(err, <-errs)
	}
	return err
}
