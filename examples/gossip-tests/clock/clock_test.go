package clock

import (
	"sync"
	"testing"
)

func TestEveryTickIsCounted(t *testing.T) {
	var clock Clock
	var done sync.WaitGroup
	for range 8 {
		done.Add(1)
		go func() {
			defer done.Done()
			for range 1000 {
				clock.Tick()
			}
		}()
	}
	done.Wait()
	if clock.Now() != 8000 {
		t.Errorf("got %d, want 8000", clock.Now())
	}
}

func TestTheClockNeverFallsBehindWhatItWasTold(t *testing.T) {
	var clock Clock
	clock.Witness(41)
	if clock.Tick() <= 41 {
		t.Error("it fell behind")
	}
}
