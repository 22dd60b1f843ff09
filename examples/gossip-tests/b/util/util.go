// Package util spaces retries. It has a namesake, ../../a/util.
package util

import "time"

// Pause returns how long to wait before the given try: twice as long each time, at most a minute.
func Pause(try int) time.Duration {
	pause := 100 * time.Millisecond
	for ; try > 0 && pause < time.Minute; try-- {
		pause *= 2
	}
	return min(pause, time.Minute)
}
