// Package crc sums bytes in C, with a table that tablegen writes.
package crc

/*
#include <stddef.h>
#include "table.h"

static uint32_t sum(const unsigned char *data, size_t size) {
  uint32_t crc = 0xffffffffu;
  for (size_t at = 0; at < size; at++) {
    crc = crc >> 8 ^ crc_table[(crc ^ data[at]) & 0xff];
  }
  return ~crc;
}
*/
import "C"

import "unsafe"

// Sum returns the CRC-32 of text.
func Sum(text string) uint32 {
	start := (*C.uchar)(unsafe.Pointer(unsafe.StringData(text)))
	return uint32(C.sum(start, C.size_t(len(text))))
}
