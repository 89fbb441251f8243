package lockapi_test

import (
	"context"
	"net/url"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/mem"
)

func TestMain(m *testing.M) {
	lockapi.Register("refusing", func(context.Context, *url.URL) (lockapi.Backend, error) {
		return nil, lockapi.ErrUnavailable
	})
	lockapi.Register("counting", func(context.Context, *url.URL) (lockapi.Backend, error) {
		return &counting{Backend: mem.New()}, nil
	})
	goleak.VerifyTestMain(m)
}

// counting is a backend that knows how often it was closed in this test.
type counting struct{ lockapi.Backend }

func (c *counting) Close() error {
	closes.Add(1)
	return c.Backend.Close()
}

var closes atomic.Int32
