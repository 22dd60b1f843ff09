// Package clock counts events that happen before one another, after Lamport.
package clock

import "sync/atomic"

// Clock is a logical clock. The zero value is ready, and goroutines may share it.
type Clock struct {
	now atomic.Uint64
}

// Tick counts an event of this member and returns its time.
func (c *Clock) Tick() uint64 {
	return c.now.Add(1)
}

// Witness moves the clock past a time that another member told.
func (c *Clock) Witness(told uint64) {
	for {
		now := c.now.Load()
		if now > told || c.now.CompareAndSwap(now, told+1) {
			return
		}
	}
}

// Now returns the time of the last event.
func (c *Clock) Now() uint64 {
	return c.now.Load()
}
