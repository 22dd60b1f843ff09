// Package crc sums what is sent, with C.
package crc

// #include "crc.h"
import "C"

import "unsafe"

// Sum returns the CRC-32C of data.
func Sum(data []byte) uint32 {
	start := (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(data)))
	return uint32(C.gossip_crc32c(start, C.size_t(len(data))))
}
