package bloom

import (
	"fmt"
	"testing"
)

func TestNothingIsForgottenAndLittleIsMadeUp(t *testing.T) {
	var filter Filter
	for i := range 1000 {
		filter.Add(fmt.Sprint("told-", i))
	}
	madeUp := 0
	for i := range 1000 {
		if !filter.Has(fmt.Sprint("told-", i)) {
			t.Fatalf("told-%d was forgotten", i)
		}
		if filter.Has(fmt.Sprint("other-", i)) {
			madeUp++
		}
	}
	if madeUp > 20 {
		t.Errorf("%d of 1000 were made up", madeUp)
	}
}
