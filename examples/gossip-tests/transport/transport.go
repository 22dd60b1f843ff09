// Package transport sends datagrams that carry a sum of what they say; the sum is made in C, and the
// sending is net's: both reasons to use C meet here.
package transport

import (
	"encoding/binary"
	"errors"
	"net"

	"example.com/gossip-tests/crc"
)

// ErrDamaged is returned for a datagram whose sum is wrong.
var ErrDamaged = errors.New("transport: the datagram is damaged")

// Send sends one datagram.
func Send(to net.Conn, text []byte) error {
	_, err := to.Write(append(binary.BigEndian.AppendUint32(nil, crc.Sum(text)), text...))
	return err
}

// Receive waits for one datagram and returns what it says.
func Receive(from net.PacketConn) ([]byte, error) {
	buffer := make([]byte, 1500)
	size, _, err := from.ReadFrom(buffer)
	if err != nil {
		return nil, err
	}
	if size < 4 || crc.Sum(buffer[4:size]) != binary.BigEndian.Uint32(buffer) {
		return nil, ErrDamaged
	}
	return buffer[4:size], nil
}
