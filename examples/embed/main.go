// Command embed is a program with locks of its own: three of it are a cluster.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"github.com/lockd-io/lockd/cluster"
	"github.com/lockd-io/lockd/lockapi"
)

func main() { // embed ID DIR LISTEN JOIN,... COUNTER
	node, err := cluster.Open(cluster.Config{ID: os.Args[1], DataDir: os.Args[2], Listen: os.Args[3], Join: strings.Split(os.Args[4], ","), BootstrapExpect: 3})
	must(err)
	defer node.Close()
	client, err := lockapi.New(node, lockapi.Options{})
	must(err)
	for range 25 {
		grant, err := client.Mutex("counter").Acquire(context.Background())
		must(err)
		text, err := os.ReadFile(os.Args[5])
		must(err)
		n, err := strconv.Atoi(string(text))
		must(err)
		must(os.WriteFile(os.Args[5], []byte(strconv.Itoa(n+1)), 0o600))
		must(grant.Release(context.Background()))
	}
	interrupt, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	<-interrupt.Done() // until then it stays a node: the others need a majority
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
