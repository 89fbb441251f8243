package lockapi_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/lockd-io/lockd/lockapi"
	_ "github.com/lockd-io/lockd/lockapi/mem" // mem://
)

func open() *lockapi.Client {
	client, err := lockapi.Open(context.Background(), "mem://examples", lockapi.Options{})
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// The whole of it: acquire, work under the grant's context, release.
func Example() {
	ctx := context.Background()
	client, err := lockapi.Open(ctx, "mem://example", lockapi.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)

	grant, err := client.Mutex("invoices/2024").Acquire(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer grant.Release(ctx)

	write := func(ctx context.Context) error {
		// Give the token to what is written: it refuses one that is lower
		// than the highest it has seen.
		fmt.Println("writing with a token:", grant.Token > 0)
		return ctx.Err()
	}
	if err := write(grant.Context()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// writing with a token: true
}

func ExampleOpen() {
	_, err := lockapi.Open(context.Background(), "carrier-pigeon://coop", lockapi.Options{})
	fmt.Println(errors.Is(err, lockapi.ErrUnsupported))
	// Output:
	// true
}

func ExampleMutex_Acquire() {
	client := open()
	defer client.Close(context.Background())
	held, _ := client.Mutex("job").Acquire(context.Background())
	defer held.Release(context.Background())

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := client.Mutex("job").Acquire(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded), errors.Is(err, lockapi.ErrLost))
	// Output:
	// true false
}

func ExampleMutex_TryAcquire() {
	ctx := context.Background()
	client := open()
	defer client.Close(ctx)

	first, err := client.Mutex("nightly").TryAcquire(ctx)
	fmt.Println(err)
	_, err = client.Mutex("nightly").TryAcquire(ctx)
	fmt.Println(err)
	_ = first.Release(ctx)
	// Output:
	// <nil>
	// lockapi: acquire "nightly": not acquired: somebody else holds it
}

func ExampleMutex_WithOwner() {
	ctx := context.Background()
	client := open()
	defer client.Close(ctx)

	m := client.Mutex("account/7").WithOwner("request 1234")
	outer, _ := m.Acquire(ctx)
	inner, _ := m.Acquire(ctx) // enters again instead of waiting for itself
	fmt.Println(inner.Count(), inner.Token == outer.Token)
	_ = inner.Release(ctx)
	fmt.Println(outer.Valid())
	_ = outer.Release(ctx)
	// Output:
	// 2 true
	// true
}

func ExampleMutex_WithMaxHold() {
	ctx := context.Background()
	client := open()
	defer client.Close(ctx)

	grant, _ := client.Mutex("batch").WithMaxHold(1200 * time.Millisecond).Acquire(ctx)
	<-grant.Context().Done()
	fmt.Println(errors.Is(context.Cause(grant.Context()), lockapi.ErrLost))
	fmt.Println(errors.Is(grant.Release(ctx), lockapi.ErrLost))
	// Output:
	// true
	// true
}

func ExampleGrant_Release() {
	ctx := context.Background()
	client := open()
	defer client.Close(ctx)

	grant, _ := client.Mutex("cache").Acquire(ctx)
	fmt.Println(grant.Release(ctx), grant.Release(ctx), grant.Valid())
	// Output:
	// <nil> <nil> false
}

func ExampleGrant_Extend() {
	ctx := context.Background()
	client := open()
	defer client.Close(ctx)

	grant, _ := client.Mutex("report").WithMaxHold(time.Minute).Acquire(ctx)
	defer grant.Release(ctx)
	fmt.Println(grant.Extend(ctx, time.Hour))
	// Output:
	// <nil>
}

func ExampleClient_Inspect() {
	ctx := context.Background()
	client := open()
	defer client.Close(ctx)

	grant, _ := client.Mutex("shelf/a").WithOwner("ann").Acquire(ctx)
	defer grant.Release(ctx)
	view, _ := client.Inspect(ctx, lockapi.Query{Prefix: "shelf/"})
	for _, l := range view.Locks {
		fmt.Println(l.Name, l.Holders[0].Owner, l.Holders[0].Token == grant.Token)
	}
	// Output:
	// shelf/a ann true
}
