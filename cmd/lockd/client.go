package main

import (
	"context"
	"time"

	"github.com/lockd-io/lockd/lockapi/remote"
	"github.com/spf13/pflag"
)

// readTimeout bounds the commands that only look. An election is over by then.
const readTimeout = 10 * time.Second

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
	return failed(read(ctx, b))
}
