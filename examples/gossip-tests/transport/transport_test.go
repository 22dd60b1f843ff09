package transport

import (
	"net"
	"testing"
)

func pair(t *testing.T) (net.Conn, net.PacketConn) {
	t.Helper()
	receiver, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { receiver.Close() })
	sender, err := net.Dial("udp", receiver.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sender.Close() })
	return sender, receiver
}

func TestWhatIsSentArrives(t *testing.T) {
	sender, receiver := pair(t)
	if err := Send(sender, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if text, err := Receive(receiver); err != nil || string(text) != "hello" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestDamageIsSeen(t *testing.T) {
	sender, receiver := pair(t)
	if _, err := sender.Write([]byte("\x00\x00\x00\x00hello")); err != nil {
		t.Fatal(err)
	}
	if text, err := Receive(receiver); err != ErrDamaged {
		t.Errorf("got %q, %v", text, err)
	}
}
