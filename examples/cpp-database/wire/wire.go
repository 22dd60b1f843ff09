// Package wire makes and reads the messages that nodes exchange. Encoding is protobuf's C++ code,
// generated from message.proto; framing is four bytes of length, big-endian, before each message.
package wire

// #cgo CXXFLAGS: -std=c++17
// #cgo LDFLAGS: -lprotobuf -lz -lstdc++ -lm -lpthread
// #include <stdlib.h>
// #include "wire.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unsafe"
)

// Limit is the size of the largest message that is written or read, in bytes.
const Limit = 1 << 20

// Kind tells what a message says.
type Kind int

// The kinds of messages.
const (
	Join Kind = C.WIRE_JOIN
	Put  Kind = C.WIRE_PUT
	Done Kind = C.WIRE_DONE
)

// Message is one thing said by one node. Key and Value belong to Put, Error to Done.
type Message struct {
	Kind  Kind
	From  string
	Key   []byte
	Value []byte
	Error string
}

// Write encodes message and writes it as one frame.
func Write(to io.Writer, message Message) error {
	encoded, err := encode(message)
	if err != nil {
		return err
	}
	if len(encoded) > Limit {
		return fmt.Errorf("wire: a message of %d bytes is over the limit of %d", len(encoded), Limit)
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(encoded)), uint32(len(encoded)))
	_, err = to.Write(append(frame, encoded...))
	return err
}

// Read reads one frame and decodes it. It returns io.EOF if the stream ends before a frame begins.
func Read(from io.Reader) (Message, error) {
	var head [4]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return Message{}, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > Limit {
		return Message{}, fmt.Errorf("wire: a message of %d bytes is over the limit of %d", size, Limit)
	}
	encoded := make([]byte, size)
	if _, err := io.ReadFull(from, encoded); err != nil {
		return Message{}, fmt.Errorf("wire: the stream ends inside a message: %w", err)
	}
	return decode(encoded)
}

func encode(message Message) ([]byte, error) {
	var out C.wire_bytes
	failure := C.wire_encode(C.int(message.Kind), view(message.From), view(message.Key),
		view(message.Value), view(message.Error), &out)
	if failure != nil {
		return nil, taken(failure)
	}
	defer C.free(unsafe.Pointer(out.data))
	return copied(out), nil
}

func decode(encoded []byte) (Message, error) {
	var out C.wire_message
	if failure := C.wire_decode(view(encoded), &out); failure != nil {
		return Message{}, taken(failure)
	}
	defer C.wire_message_free(&out)
	return Message{
		Kind:  Kind(out.kind),
		From:  string(copied(out.from)),
		Key:   copied(out.key),
		Value: copied(out.value),
		Error: string(copied(out.error)),
	}, nil
}

// view lends bytes to C for the length of one call.
func view[Bytes string | []byte](bytes Bytes) C.wire_view {
	data := unsafe.StringData(string(bytes))
	return C.wire_view{data: (*C.char)(unsafe.Pointer(data)), size: C.size_t(len(bytes))}
}

func copied(bytes C.wire_bytes) []byte {
	return C.GoBytes(unsafe.Pointer(bytes.data), C.int(bytes.size))
}

// taken turns a message from C into an error and frees it.
func taken(failure *C.char) error {
	defer C.free(unsafe.Pointer(failure))
	return errors.New("wire: " + C.GoString(failure))
}
