// Package murmur hashes names, with C written in the Go file. Its tests stand outside the package.
package murmur

/*
#cgo CFLAGS: -O2
#cgo LDFLAGS: -lm
#include <math.h>
#include <stdint.h>
#include <string.h>

// MurmurHash3's finaliser over FNV-1a: enough to spread names.
static uint64_t spread(const char *data, size_t size) {
  uint64_t hash = 14695981039346656037u;
  for (size_t at = 0; at < size; at++) {
    hash = (hash ^ (unsigned char)data[at]) * 1099511628211u;
  }
  hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
  hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53u;
  return hash ^ hash >> 33;
}

// A place on a ring of circumference 1, from -pi to pi on the unit circle.
static double angle(uint64_t hash) {
  double turn = ldexp((double)(hash >> 11), -53);
  return atan2(sin(turn * 6.283185307179586), cos(turn * 6.283185307179586));
}
*/
import "C"

import "unsafe"

// Hash spreads a name over 64 bits.
func Hash(name string) uint64 {
	start := (*C.char)(unsafe.Pointer(unsafe.StringData(name)))
	return uint64(C.spread(start, C.size_t(len(name))))
}

// Angle returns the place of a hash on the unit circle, between -π and π.
func Angle(hash uint64) float64 {
	return float64(C.angle(C.uint64_t(hash)))
}
