#ifndef GOSSIP_CRC_H
#define GOSSIP_CRC_H

#include <stddef.h>
#include <stdint.h>

// CRC-32C (Castagnoli) of `size` bytes.
uint32_t gossip_crc32c(const uint8_t *data, size_t size);

#endif
