// The seam between Go and RocksDB's C++ interface: plain C, no exception crosses it.
#ifndef CPPDATABASE_STORE_H
#define CPPDATABASE_STORE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct store store;

// Bytes that the caller keeps alive for the length of a call.
typedef struct {
  const char *data;
  size_t size;
} store_view;

// Bytes from malloc: whoever receives them frees `data`. NULL stands for "there is none".
typedef struct {
  char *data;
  size_t size;
} store_bytes;

// All return NULL, or a message from malloc that says what is wrong; `out` is then untouched.
char *store_open(const char *folder, store **out);
char *store_put(store *store, store_view key, store_view value);
char *store_get(store *store, store_view key, store_bytes *out);
char *store_close(store *store);

#ifdef __cplusplus
}
#endif

#endif
