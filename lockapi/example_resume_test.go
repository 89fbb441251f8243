package lockapi_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	"github.com/lockd-io/lockd/lockapi"
)

// A program that goes on with what it held when it crashed.
func ExampleClient_Resume() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	options := lockapi.Options{SessionFile: filepath.Join(dir, "session")}

	start := func() *lockapi.Client {
		client, err := lockapi.Open(ctx, "mem://examples", options)
		if err != nil {
			log.Fatal(err)
		}
		found, err := client.Resume(ctx)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, lockapi.ErrSessionGone):
			fmt.Println("a fresh start")
		case err != nil:
			log.Fatal(err)
		default:
			for _, grant := range found.Grants {
				fmt.Println("still held:", grant.Name)
			}
		}
		return client
	}
	crashes := start()
	if _, err := crashes.Mutex("shard/7").Acquire(ctx); err != nil {
		log.Fatal(err)
	}
	// It did not come to Close.
	client := start()
	fmt.Println(client.Close(ctx))
	_ = crashes.Close(ctx) // fenced: it has nothing left to give back
	// Output:
	// a fresh start
	// still held: shard/7
	// <nil>
}
