package ring

import (
	"fmt"
	"testing"
)

func TestALeavingMemberMovesOnlyItsOwnKeys(t *testing.T) {
	all := []string{"a", "b", "c", "d"}
	for i := range 200 {
		key := fmt.Sprint("key-", i)
		before, after := Owner(key, all), Owner(key, all[:3])
		if before != "d" && before != after {
			t.Errorf("%s moved from %s to %s", key, before, after)
		}
	}
}

func TestNobodyOwnsAnythingInAnEmptyRing(t *testing.T) {
	if owner := Owner("key", nil); owner != "" {
		t.Errorf("%s owns it", owner)
	}
}
