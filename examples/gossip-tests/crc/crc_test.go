package crc

import (
	"hash/crc32"
	"testing"
)

func TestItAgreesWithTheLibrary(t *testing.T) {
	table := crc32.MakeTable(crc32.Castagnoli)
	for _, text := range []string{"", "a", "123456789", "gossip\x00gossip"} {
		if got, want := Sum([]byte(text)), crc32.Checksum([]byte(text), table); got != want {
			t.Errorf("%q: got %08x, want %08x", text, got, want)
		}
	}
}
