package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"github.com/lockd-io/lockd/cluster"
	"github.com/lockd-io/lockd/transport"
	"github.com/spf13/cobra"
)

// A serveFlags is the command line of one node.
type serveFlags struct {
	config   cluster.Config
	keyFile  string
	insecure bool
	pprof    string // "" is not
	journal  string // file; "" keeps none
	log      logFlags
}

func newServe() *cobra.Command {
	var f serveFlags
	command := &cobra.Command{
		Use:   "serve --node-id ID --data-dir DIR --listen HOST:PORT",
		Short: "Run one node of a cluster",
		Long: `serve runs one node. Three or five make a cluster that survives one or two of
them. All protocols share the one port; --join names that port of other nodes.

It prints "ready node=ID listen=HOST:PORT" when it has caught up with a leader.
SIGTERM hands the leadership over, lets clients go elsewhere and stops, as do
SIGINT and SIGHUP, unless they were ignored when it was started, as nohup does; the
node stays a member. A node that stops by itself exits with 70 and says why.

There is no TLS yet: off loopback everything, secrets of sessions included,
travels in clear, which takes --insecure, and takes a key that all nodes share:
any file of at least 16 random bytes, as "openssl rand -base64 32" makes one.
--join may name the node itself, so that it can be the same on all.

A member is bound to the address that it advertises, so that a copy of its data
directory cannot vote beside it. Advertise a name of DNS, and what it points to may
change. Else start it once with --moved at its new address, if what ran at the old
one is gone for good; a false word can make two leaders.

Every flag is also LOCKD_* in the environment and a key of the YAML file.`,
		Example: `  # on each of three machines, with its own id and address
  lockd serve --node-id n1 --data-dir /var/lib/lockd --listen 10.0.0.1:7600 \
    --join 10.0.0.1:7600,10.0.0.2:7600,10.0.0.3:7600 --bootstrap-expect 3 \
    --gossip-key-file /etc/lockd/key --insecure

  lockd serve --config /etc/lockd/lockd.yaml`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, _ []string) error {
			return failed(serve(command.Context(), &f, command.OutOrStdout(), command.ErrOrStderr()))
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.config.ID, "node-id", "", "name of the node in its cluster, for ever")
	flags.StringVar(&f.config.DataDir, "data-dir", "", "directory of the node's own: empty or not there at first; it becomes 0700")
	flags.StringVar(&f.config.Listen, "listen", "", "`HOST:PORT` to listen on")
	flags.StringVar(&f.config.Advertise, "advertise", "", "`HOST:PORT` that others reach it by (default: --listen)")
	flags.StringSliceVar(&f.config.Join, "join", nil, "`HOST:PORT,...` of other nodes; one that answers is enough")
	flags.IntVar(&f.config.BootstrapExpect, "bootstrap-expect", 0, "form a new cluster of this many empty nodes")
	flags.BoolVar(&f.config.BootstrapAlone, "bootstrap-alone", false, "with --bootstrap-expect 1: found without those in --join that do not answer")
	flags.BoolVar(&f.config.Moved, "moved", false, "what ran at this member's old address is gone for good: it is here now")
	flags.StringVar(&f.keyFile, "gossip-key-file", "", "file with the key that all nodes share")
	flags.BoolVar(&f.insecure, "insecure", false, "listen off loopback without TLS")
	flags.BoolVar(&f.config.NoGossip, "no-gossip", false, "do not gossip on the port above: find nodes by --join alone")
	flags.StringVar(&f.pprof, "pprof", "", "`HOST:PORT` on loopback for profiles of this process")
	flags.String("config", "", "YAML `FILE` with flags as keys")
	flags.DurationVar(&f.config.HeartbeatTimeout, "heartbeat-timeout", 0,
		"silence after which nodes elect another leader, the same on all (default 700ms)")
	flags.Int64Var(&f.config.SnapshotBytes, "snapshot-bytes", 0, "bytes of log between snapshots (default 64 MiB)")
	flags.DurationVar(&f.config.SnapshotInterval, "snapshot-interval", 0, "snapshot at least this often when anything happens")
	flags.Uint64Var(&f.config.TrailingLogs, "trailing-logs", 0, "log entries kept behind a snapshot (default 1024)")
	flags.StringVar(&f.journal, "journal", "", "append a hash of each state to this `FILE`, outside --data-dir, to be compared with other nodes'")
	f.log.add(command, "info")
	return command
}

// serve runs a node until it is told to end or stops by itself.
func serve(ctx context.Context, f *serveFlags, stdout, stderr io.Writer) error {
	logger, _, err := f.log.logger(stderr)
	if err != nil {
		return err
	}
	f.config.Logger = logger.With("node", f.config.ID)
	if err := f.check(); err != nil {
		return err
	}
	stopProfiles, err := serveProfiles(f.pprof, f.config.Logger)
	if err != nil {
		return err
	}
	defer stopProfiles()
	closeJournal, err := keepJournal(f.journal, &f.config)
	if err != nil {
		return err
	}
	defer closeJournal()
	manager, err := systemd()
	if err != nil {
		return err
	}
	defer manager.close()
	ctx, restore := signal.NotifyContext(ctx, endings()...)
	defer restore()
	port, err := transport.Listen(f.config.Listen, transport.Options{Logger: f.config.Logger})
	if errors.Is(err, syscall.EADDRNOTAVAIL) { // not 64: a machine that starts may have it soon
		return fmt.Errorf("%w: this machine does not have --listen's address; one that only others use goes into --advertise", err)
	}
	if err != nil {
		return err
	}
	s, err := startServer(port, f.config)
	if err != nil {
		return inFlags(err)
	}
	s.log.Info("started", "version", thisBuild().Version, "listen", s.address(), "data_dir", f.config.DataDir)
	if err := s.node.WaitReady(ctx); err == nil {
		fmt.Fprintf(stdout, "ready node=%s listen=%s\n", f.config.ID, s.address())
		manager.tell("READY=1")
	}
	select {
	case <-ctx.Done():
		restore() // a second signal ends the process at once
		manager.tell("STOPPING=1")
		err := s.stop()
		if err == nil {
			s.log.Info("stopped")
		}
		return err
	case <-s.node.Done():
		err := s.node.Err()
		_ = s.close()
		return &exitError{exitSoftware, err}
	}
}

// check refuses what would work but should not: what cannot work, the parts
// refuse themselves.
func (f *serveFlags) check() error {
	var missing []string
	for _, required := range []struct{ flag, value string }{
		{"node-id", f.config.ID}, {"data-dir", f.config.DataDir}, {"listen", f.config.Listen},
	} {
		if required.value == "" {
			missing = append(missing, "--"+required.flag+" is required")
		}
	}
	if missing != nil {
		return usage("%s", strings.Join(missing, "\n"))
	}
	if _, _, err := splitListen(f.config.Listen); err != nil {
		return err
	}
	if within(f.journal, f.config.DataDir) {
		return usage("--journal %s lies in --data-dir, which is the node's alone: keep it elsewhere", f.journal)
	}
	if f.keyFile != "" {
		key, err := readKey(f.keyFile, f.config.Logger)
		if err != nil {
			return usage("--gossip-key-file: %w", err)
		}
		f.config.ClusterKey = key
	}
	for _, address := range []string{f.config.Listen, f.config.Advertise} {
		if address == "" || onLoopback(address) {
			continue
		}
		if !f.insecure {
			return usage("%s is not on loopback, and there is no TLS yet: everything would travel in clear. "+
				"--insecure accepts that", address)
		}
		if f.keyFile == "" {
			return usage("%s is not on loopback: --gossip-key-file is required, or anybody could be a node", address)
		}
	}
	return nil
}

// splitListen takes --listen apart. It refuses what cannot be listened on
// anywhere; whether it can be here, only who listens knows.
func splitListen(address string) (host string, port uint64, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, usage("--listen %s: not HOST:PORT", address)
	}
	if port, err = strconv.ParseUint(text, 10, 16); err != nil {
		return "", 0, usage("--listen %s: %q is not a port", address, text)
	}
	return host, port, nil
}

// inFlags says of a bad configuration which flags are wrong.
func inFlags(err error) error {
	var bad *cluster.ConfigError
	if !errors.As(err, &bad) {
		return err
	}
	wrong := make([]string, len(bad.Fields))
	for i, f := range bad.Fields {
		wrong[i] = strings.TrimSuffix("--"+flagOf(f.Field)+" "+f.Value, " ") + ": " + f.Problem
	}
	return usage("%s", strings.Join(wrong, "\n"))
}

// flagOf is the flag that sets a field of cluster.Config.
func flagOf(field string) string {
	switch field {
	case "ID":
		return "node-id"
	case "ClusterKey":
		return "gossip-key-file"
	}
	var flag strings.Builder
	for i, r := range field {
		if unicode.IsUpper(r) && i > 0 {
			flag.WriteByte('-')
		}
		flag.WriteRune(unicode.ToLower(r))
	}
	return flag.String()
}

// onLoopback tells whether only this machine can reach an address. A bad
// address counts as such; it is refused by who uses it.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// readKey reads the key without the white space around it.
func readKey(path string, logger *slog.Logger) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		logger.Warn("everybody on this machine may read the key: chmod 600 it", "file", path)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if key = bytes.TrimSpace(key); len(key) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return key, nil
}
