// The seam between Go and the generated C++ code: plain C, no exception crosses it.
#ifndef CPPDATABASE_WIRE_H
#define CPPDATABASE_WIRE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Bytes that the caller keeps alive for the length of a call.
typedef struct {
  const char *data;
  size_t size;
} wire_view;

// Bytes from malloc: whoever receives them frees `data`.
typedef struct {
  char *data;
  size_t size;
} wire_bytes;

// The kinds of messages; WIRE_NONE is what a peer of a later version may send.
enum { WIRE_NONE = 0, WIRE_JOIN = 1, WIRE_PUT = 2, WIRE_DONE = 3 };

// A message taken apart. Fields that its kind does not have are empty.
typedef struct {
  int kind;
  wire_bytes from;
  wire_bytes key;
  wire_bytes value;
  wire_bytes error;
} wire_message;

// Both return NULL, or a message from malloc that says what is wrong; `out` is then untouched.
char *wire_encode(int kind, wire_view from, wire_view key, wire_view value, wire_view error,
                  wire_bytes *out);
char *wire_decode(wire_view encoded, wire_message *out);

// Frees what wire_decode filled in.
void wire_message_free(wire_message *message);

#ifdef __cplusplus
}
#endif

#endif
