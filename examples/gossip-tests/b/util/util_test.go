package util

import (
	"testing"
	"time"
)

func TestPausesGrowToAMinute(t *testing.T) {
	for try, want := range map[int]time.Duration{
		0: 100 * time.Millisecond, 3: 800 * time.Millisecond, 1000: time.Minute,
	} {
		if got := Pause(try); got != want {
			t.Errorf("try %d: got %v, want %v", try, got, want)
		}
	}
}
