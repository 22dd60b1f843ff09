package node

import (
	"context"
	"net"
	"testing"
	"time"

	"example.com/cpp-database/store"
)

// start runs a node on a free port of this machine until the test ends.
func start(t *testing.T, name string) (running *Node, port string) {
	t.Helper()
	kept, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	running = New(name, kept, listener, func(line string) { t.Log(name+":", line) })
	served := make(chan error, 1)
	go func() { served <- running.Serve() }()
	t.Cleanup(func() {
		_ = running.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return running, port
}

func within(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func TestAPutReachesThePeerByName(t *testing.T) {
	alpha, alphaPort := start(t, "alpha")
	beta, betaPort := start(t, "beta")
	ctx := within(t, 10*time.Second)
	if err := alpha.Join(ctx, "localhost:"+betaPort); err != nil {
		t.Fatal(err)
	}
	if err := beta.Join(ctx, "localhost:"+alphaPort); err != nil {
		t.Fatal(err)
	}
	if err := alpha.Put([]byte("colour"), []byte("blue")); err != nil {
		t.Fatal(err)
	}
	if err := beta.Put([]byte("shape"), []byte("round")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		at         *Node
		key, value string
	}{{beta, "colour", "blue"}, {alpha, "shape", "round"}} {
		value, err := want.at.Await(ctx, []byte(want.key))
		if err != nil || string(value) != want.value {
			t.Errorf("%s: got %q, %v", want.key, value, err)
		}
	}
}

func TestAPeerThatIsNotThereEndsTheWaitWithAReason(t *testing.T) {
	alpha, _ := start(t, "alpha")
	err := alpha.Join(within(t, 300*time.Millisecond), "127.0.0.1:1")
	if err == nil {
		t.Error("it joined nobody")
	}
}

func TestNonsenseFromAPeerStopsOnlyThatConnection(t *testing.T) {
	alpha, port := start(t, "alpha")
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	beta, _ := start(t, "beta")
	if err := beta.Join(within(t, 10*time.Second), "127.0.0.1:"+port); err != nil {
		t.Fatal(err)
	}
	if err := beta.Put([]byte("still"), []byte("here")); err != nil {
		t.Fatal(err)
	}
	if _, err := alpha.Await(within(t, time.Second), []byte("still")); err != nil {
		t.Error(err)
	}
}
