package lockapi_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockd-io/lockd/lockapi"
)

// Readers share what a writer has alone.
func ExampleRWMutex() {
	ctx := context.Background()
	client := open()
	defer client.Close(ctx)

	rates := client.RWMutex("rates")
	one, _ := rates.RAcquire(ctx)
	two, _ := rates.RAcquire(ctx)
	_, err := rates.TryAcquire(ctx)
	fmt.Println(one.Valid(), two.Valid(), errors.Is(err, lockapi.ErrNotAcquired))
	_ = one.Release(ctx)
	_ = two.Release(ctx)
	writer, _ := rates.Acquire(ctx)
	fmt.Println(writer.Token > two.Token, writer.Release(ctx))
	// Output:
	// true true true
	// true <nil>
}

// Eight graphics cards, whoever uses how many of them.
func ExampleSemaphore() {
	ctx := context.Background()
	client := open()
	defer client.Close(ctx)

	cards := client.Semaphore("cards", 8)
	mine, _ := cards.Acquire(ctx, 6)
	_, err := cards.TryAcquire(ctx, 3)
	fmt.Println(errors.Is(err, lockapi.ErrNotAcquired))
	_, err = client.Semaphore("cards", 4).TryAcquire(ctx, 1) // somebody's mistake
	if conflict := new(lockapi.ConflictError); errors.As(err, &conflict) {
		fmt.Println("the declared limit is", conflict.Limit)
	}
	_ = mine.Release(ctx)
	// Output:
	// true
	// the declared limit is 8
}

// A transfer holds both accounts or neither, and cannot meet another one, of the
// same accounts the other way round, half way.
func ExampleClient_All() {
	ctx := context.Background()
	client := open()
	defer client.Close(ctx)

	transfer := client.All(
		lockapi.Exclusive("account/7"),
		lockapi.Exclusive("account/3"),
		lockapi.Shared("rates"),
		lockapi.Permits("transfers", 1, 100),
	)
	grant, err := transfer.Acquire(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer grant.Release(ctx)
	for _, held := range grant.Held() {
		fmt.Println(held.Name, held.Token == grant.TokenOf(held.Name))
	}
	// Output:
	// account/7 true
	// account/3 true
	// rates true
	// transfers true
}
