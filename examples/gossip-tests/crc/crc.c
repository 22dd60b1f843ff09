#include "crc.h"

uint32_t gossip_crc32c(const uint8_t *data, size_t size) {
  uint32_t crc = 0xffffffffu;
  for (size_t at = 0; at < size; at++) {
    crc ^= data[at];
    for (int bit = 0; bit < 8; bit++) {
      crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1u)));
    }
  }
  return ~crc;
}
