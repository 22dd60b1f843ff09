// Package node is one member of a small replicated store: it keeps what it is told, tells its
// peers, and finds them by name.
package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"example.com/cpp-database/store"
	"example.com/cpp-database/wire"
)

const (
	// patience bounds one exchange with a peer.
	patience = 5 * time.Second
	// pause lies between two tries to reach a peer that is not there yet.
	pause = 100 * time.Millisecond
)

// Node is one running member. Serve, Join, Put and Await may run at the same time.
type Node struct {
	name     string
	store    *store.Store
	listener net.Listener
	report   func(line string)
	handlers sync.WaitGroup

	mu      sync.Mutex
	peers   []*peer
	inbound map[net.Conn]struct{}
	closing bool
	changed chan struct{} // closed and replaced whenever something was stored
}

// peer is a connection to another node; it carries one exchange at a time.
type peer struct {
	mu   sync.Mutex
	name string
	conn net.Conn
}

// New returns a node that keeps its data in store, is reached through listener and says what
// happens to report. The node owns neither until Serve is called.
func New(name string, store *store.Store, listener net.Listener, report func(line string)) *Node {
	return &Node{
		name:     name,
		store:    store,
		listener: listener,
		report:   report,
		inbound:  make(map[net.Conn]struct{}),
		changed:  make(chan struct{}),
	}
}

// Serve answers other nodes until Close is called.
func (n *Node) Serve() error {
	for {
		conn, err := n.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if n.admit(conn) {
			go n.answer(conn)
		}
	}
}

// Join looks the peer at address (`name:port`) up, connects to it and makes itself known. A peer
// that is not there yet is tried again until ctx ends.
func (n *Node) Join(ctx context.Context, address string) error {
	for {
		err := n.join(ctx, address)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("node: no way to %s: %w", address, err)
		case <-time.After(pause):
		}
	}
}

// Put stores value under key here and at every peer; it returns when all have it.
func (n *Node) Put(key, value []byte) error {
	if err := n.keep(key, value); err != nil {
		return err
	}
	n.mu.Lock()
	peers := append([]*peer(nil), n.peers...)
	n.mu.Unlock()
	var failures []error
	for _, peer := range peers {
		message := wire.Message{Kind: wire.Put, From: n.name, Key: key, Value: value}
		if _, err := peer.exchange(message); err != nil {
			failures = append(failures, fmt.Errorf("node: %s did not store it: %w", peer.name, err))
		}
	}
	return errors.Join(failures...)
}

// Await returns the value under key as soon as there is one.
func (n *Node) Await(ctx context.Context, key []byte) ([]byte, error) {
	for {
		n.mu.Lock()
		changed := n.changed
		n.mu.Unlock()
		value, found, err := n.store.Get(key)
		if err != nil || found {
			return value, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("node: nobody sent %q: %w", key, ctx.Err())
		case <-changed:
		}
	}
}

// Close stops serving. Exchanges that have begun are finished first; the store stays open.
func (n *Node) Close() error {
	err := n.listener.Close()
	n.mu.Lock()
	n.closing = true
	for conn := range n.inbound {
		// Ends the wait for a next message, but not the answer to the last one.
		_ = conn.SetReadDeadline(time.Now())
	}
	for _, peer := range n.peers {
		_ = peer.conn.Close()
	}
	n.mu.Unlock()
	n.handlers.Wait()
	return err
}

func (n *Node) join(ctx context.Context, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	found, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(found[0], port))
	if err != nil {
		return err
	}
	joined := &peer{name: host, conn: conn}
	answer, err := joined.exchange(wire.Message{Kind: wire.Join, From: n.name})
	if err != nil {
		_ = conn.Close()
		return err
	}
	n.mu.Lock()
	n.peers = append(n.peers, joined)
	n.mu.Unlock()
	n.report(fmt.Sprintf("found %s at %s, it is %s", host, found[0], answer.From))
	return nil
}

// admit notes a connection to answer, unless the node is closing.
func (n *Node) admit(conn net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closing {
		_ = conn.Close()
		return false
	}
	n.inbound[conn] = struct{}{}
	n.handlers.Add(1)
	return true
}

// answer handles what one other node says until it leaves, or says what is no message.
func (n *Node) answer(conn net.Conn) {
	defer n.handlers.Done()
	defer func() {
		n.mu.Lock()
		delete(n.inbound, conn)
		n.mu.Unlock()
		_ = conn.Close()
	}()
	for {
		message, err := wire.Read(conn)
		if err != nil {
			return
		}
		done := wire.Message{Kind: wire.Done, From: n.name}
		if err := n.handle(message); err != nil {
			done.Error = err.Error()
		}
		if err := wire.Write(conn, done); err != nil {
			return
		}
	}
}

func (n *Node) handle(message wire.Message) error {
	switch message.Kind {
	case wire.Join:
		n.report("joined by " + message.From)
		return nil
	case wire.Put:
		if err := n.keep(message.Key, message.Value); err != nil {
			return err
		}
		n.report(fmt.Sprintf("stored %s=%s from %s", message.Key, message.Value, message.From))
		return nil
	default:
		return fmt.Errorf("node: a message of kind %d is not for a node", message.Kind)
	}
}

// keep stores a value and wakes whoever awaits it.
func (n *Node) keep(key, value []byte) error {
	if err := n.store.Put(key, value); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.changed)
	n.changed = make(chan struct{})
	return nil
}

// exchange sends a message and waits for the answer.
func (p *peer) exchange(message wire.Message) (wire.Message, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return wire.Message{}, err
	}
	if err := wire.Write(p.conn, message); err != nil {
		return wire.Message{}, err
	}
	answer, err := wire.Read(p.conn)
	if err != nil {
		return wire.Message{}, err
	}
	if answer.Error != "" {
		return answer, errors.New(answer.Error)
	}
	return answer, nil
}
