package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/remote"
	"github.com/spf13/pflag"
)

const (
	// readTimeout bounds the commands that only look. An election is over by then.
	readTimeout = 10 * time.Second
	// refusedTimeout: when nobody listens at any endpoint for this long, nobody
	// is about to; a node that is being restarted is back sooner.
	refusedTimeout = 2 * time.Second
	// lookHelp is what the commands that only look have in common.
	lookHelp = `

It gives up after 10 s without an answer, after 2 s if every endpoint refuses
the connection, and then exits with 69.`
)

// A clientFlags says where the cluster is.
type clientFlags struct{ endpoints []string }

func (c *clientFlags) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&c.endpoints, "endpoints", []string{endpointFirst}, "`HOST:PORT,...` of nodes; one that answers is enough")
}

// dial makes a backend of the endpoints. It sends nothing yet.
func (c *clientFlags) dial() (*remote.Backend, error) {
	b, err := remote.Open(c.endpoints, remote.Options{})
	if err != nil {
		return nil, usage("--endpoints: %w", err)
	}
	return b, nil
}

// look runs one reading call against the cluster.
func (c *clientFlags) look(ctx context.Context, read func(context.Context, *remote.Backend) error) error {
	b, err := c.dial()
	if err != nil {
		return err
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := reach(ctx, b); err != nil {
		return err
	}
	return failed(read(ctx, b))
}

// found sees that there is a cluster.
func (c *clientFlags) found(ctx context.Context) error {
	return c.look(ctx, func(context.Context, *remote.Backend) error { return nil })
}

// reach gives up early where nobody listens.
func reach(ctx context.Context, b *remote.Backend) error {
	ctx, cancel := context.WithTimeout(ctx, refusedTimeout)
	defer cancel()
	var nobody *remote.UnreachedError
	if err := b.Reach(ctx); errors.As(err, &nobody) && nobody.Refused() {
		return failed(err)
	}
	return nil
}

// A lookFlags is the command line of a command that only looks.
type lookFlags struct {
	clientFlags
	asJSON bool
}

// add has form tell what --json prints.
func (l *lookFlags) add(flags *pflag.FlagSet, form string) {
	l.clientFlags.add(flags)
	flags.BoolVar(&l.asJSON, "json", false, form)
}

// status shows the cluster as the first endpoint that answers sees it.
func (l *lookFlags) status(ctx context.Context, show func(lockapi.Status) error) error {
	return l.look(ctx, func(ctx context.Context, b *remote.Backend) error {
		s, err := b.Status(ctx)
		if err != nil {
			return err
		}
		return show(s)
	})
}

// unreached is what a person can do about nobody having answered.
func unreached(e *remote.UnreachedError) error {
	endpoints := make([]string, len(e.Endpoints))
	for i, p := range e.Endpoints {
		if endpoints[i] = p.Endpoint; p.Err != nil {
			endpoints[i] += " (" + p.Err.Error() + ")"
		}
	}
	what, hint := "no node with a leader was found", "see lockd status"
	if e.Failed() {
		what, hint = "no node was found", "is it running? --endpoints or LOCKD_ENDPOINTS says where the cluster is"
	}
	return &exitError{exitUnavailable, fmt.Errorf("%s at %s: %s", what, strings.Join(endpoints, ", "), hint)}
}
