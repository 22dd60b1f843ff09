package murmur_test

import (
	"math"
	"testing"

	"example.com/gossip-tests/murmur"
)

func TestNamesThatAreNearAreSpread(t *testing.T) {
	near := murmur.Hash("node-1") ^ murmur.Hash("node-2")
	differing := 0
	for ; near != 0; near &= near - 1 {
		differing++
	}
	if differing < 16 {
		t.Errorf("only %d of 64 bits differ", differing)
	}
}

func TestTheCircleIsClosed(t *testing.T) {
	for _, hash := range []uint64{0, 1 << 62, 1 << 63, math.MaxUint64} {
		if angle := murmur.Angle(hash); angle < -math.Pi || angle > math.Pi {
			t.Errorf("%x: %v is not on the circle", hash, angle)
		}
	}
}
