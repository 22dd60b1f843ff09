package crc

import (
	"hash/crc32"
	"testing"
)

func TestItAgreesWithTheLibrary(t *testing.T) {
	for _, text := range []string{"", "123456789"} {
		if got, want := Sum(text), crc32.ChecksumIEEE([]byte(text)); got != want {
			t.Errorf("%q: got %08x, want %08x", text, got, want)
		}
	}
}
