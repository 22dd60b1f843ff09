// Command node runs one node of the example database:
//
//	node -name alpha -listen :7001 -data /tmp/alpha -peer beta:7002 -put colour=blue -await shape
//
// It joins the peer by its name, puts the pair here and there, waits for the awaited key to come
// from somewhere, and ends. Without -await it serves until it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"os/user"
	"strings"
	"syscall"
	"time"

	"example.com/cpp-database/node"
	"example.com/cpp-database/store"
)

type options struct {
	name, listen, data, peer, put, await string
	timeout                              time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.name, "name", "node", "what this node calls itself")
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "where it is reached")
	flag.StringVar(&o.data, "data", "", "folder of its data, made if missing")
	flag.StringVar(&o.peer, "peer", "", "`name:port` of a node to join")
	flag.StringVar(&o.put, "put", "", "`key=value` to store here and at the peer")
	flag.StringVar(&o.await, "await", "", "`key` to wait for before ending")
	flag.DurationVar(&o.timeout, "timeout", 20*time.Second, "how long to wait for others")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", o.name, err)
		os.Exit(1)
	}
}

func run(o options) (err error) {
	key, value, isPair := strings.Cut(o.put, "=")
	switch {
	case o.data == "":
		return errors.New("-data is missing")
	case o.put != "" && !isPair:
		return fmt.Errorf("-put %q is not key=value", o.put)
	}
	report := func(line string) { fmt.Printf("%s: %s\n", o.name, line) }

	kept, err := store.Open(o.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	running := node.New(o.name, kept, listener, report)
	served := make(chan error, 1)
	go func() { served <- running.Serve() }()
	defer func() { err = errors.Join(err, running.Close(), <-served) }()
	report(fmt.Sprintf("listens on %s as %s", listener.Addr(), whoami()))

	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(interrupted, o.timeout)
	defer cancel()
	if o.peer != "" {
		if err := running.Join(ctx, o.peer); err != nil {
			return err
		}
	}
	if o.put != "" {
		if err := running.Put([]byte(key), []byte(value)); err != nil {
			return err
		}
	}
	if o.await == "" {
		<-interrupted.Done()
		return nil
	}
	awaited, err := running.Await(ctx, []byte(o.await))
	if err != nil {
		return err
	}
	report(fmt.Sprintf("has %s=%s", o.await, awaited))
	return nil
}

// whoami names the user; in an empty root only the number is known.
func whoami() string {
	current, err := user.Current()
	if err != nil {
		return fmt.Sprintf("uid %d", os.Getuid())
	}
	return current.Username
}
