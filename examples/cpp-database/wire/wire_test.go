package wire

import (
	"bytes"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestEveryKindComesBackAsItWasSent(t *testing.T) {
	for _, sent := range []Message{
		{Kind: Join, From: "alpha", Key: []byte{}, Value: []byte{}},
		{Kind: Put, From: "beta", Key: []byte("k\x00ey"), Value: []byte("\xff\x00")},
		{Kind: Done, From: "gamma", Key: []byte{}, Value: []byte{}, Error: "the disk is full"},
	} {
		var stream bytes.Buffer
		if err := Write(&stream, sent); err != nil {
			t.Fatal(err)
		}
		received, err := Read(&stream)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(received, sent) {
			t.Errorf("sent %+v, received %+v", sent, received)
		}
	}
}

func TestBytesThatAreNoMessageAreRefused(t *testing.T) {
	for name, stream := range map[string]string{
		"no protobuf": "\x00\x00\x00\x02\xff\xff",
		"cut short":   "\x00\x00\x00\x09abc",
		"too large":   "\x7f\xff\xff\xff",
	} {
		if message, err := Read(strings.NewReader(stream)); err == nil {
			t.Errorf("%s: got %+v", name, message)
		}
	}
}

func TestTheEndOfTheStreamIsNotAnError(t *testing.T) {
	if _, err := Read(strings.NewReader("")); err != io.EOF {
		t.Errorf("got %v, want io.EOF", err)
	}
}

func TestAMessageOfNoKindIsNotSent(t *testing.T) {
	if err := Write(io.Discard, Message{From: "alpha"}); err == nil {
		t.Error("it was sent")
	}
}
