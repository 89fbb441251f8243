package lockapi_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

// A worker that takes on no more while what it holds is in danger.
func ExampleOptions_onWarning() {
	ctx := context.Background()
	paused := make(chan bool, 1)
	client, err := lockapi.Open(ctx, "mem://examples", lockapi.Options{
		WarnBefore: 4 * time.Second,
		OnWarning: func(w lockapi.Warning) {
			switch w.Kind {
			case lockapi.WarnEndangered:
				log.Printf("no answer: %d grants are lost at %v", len(w.Grants), w.Until)
				paused <- true
			case lockapi.WarnAverted:
				paused <- false
			case lockapi.WarnLost:
				log.Printf("stop: %v", w.Cause)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)

	grant, _ := client.Mutex("queue").Acquire(ctx)
	defer grant.Release(ctx)
	select {
	case stop := <-paused:
		fmt.Println("paused:", stop)
	default:
		fmt.Println("the service answers")
	}
	// Output:
	// the service answers
}
