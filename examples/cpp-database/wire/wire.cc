#include "wire.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include "message.pb.h"

namespace {

using cppdatabase::Message;

std::string text(wire_view view) { return std::string(view.data, view.size); }

// Copies into memory that C frees; never NULL, so that an empty field is still a field.
wire_bytes bytes(const std::string &from) {
  auto *data = static_cast<char *>(std::malloc(from.size() + 1));
  if (data == nullptr) throw std::bad_alloc();
  std::memcpy(data, from.c_str(), from.size() + 1);
  return {data, from.size()};
}

// Runs `body` and turns what it throws into a message for C.
template <typename Body>
char *guarded(Body body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const std::exception &thrown) {
    return strdup(thrown.what());
  } catch (...) {
    return strdup("an exception of an unknown type");
  }
}

Message assemble(int kind, wire_view from, wire_view key, wire_view value, wire_view error) {
  Message message;
  message.set_from(text(from));
  switch (kind) {
    case WIRE_JOIN:
      message.mutable_join();
      break;
    case WIRE_PUT:
      message.mutable_put()->set_key(text(key));
      message.mutable_put()->set_value(text(value));
      break;
    case WIRE_DONE:
      message.mutable_done()->set_error(text(error));
      break;
    default:
      throw std::invalid_argument("a message of no known kind");
  }
  return message;
}

int kind_of(const Message &message) {
  switch (message.kind_case()) {
    case Message::kJoin:
      return WIRE_JOIN;
    case Message::kPut:
      return WIRE_PUT;
    case Message::kDone:
      return WIRE_DONE;
    case Message::KIND_NOT_SET:
      break;
  }
  return WIRE_NONE;
}

}  // namespace

char *wire_encode(int kind, wire_view from, wire_view key, wire_view value, wire_view error,
                  wire_bytes *out) {
  return guarded([&] {
    std::string encoded;
    if (!assemble(kind, from, key, value, error).SerializeToString(&encoded)) {
      throw std::runtime_error("the message cannot be encoded");
    }
    *out = bytes(encoded);
  });
}

char *wire_decode(wire_view encoded, wire_message *out) {
  wire_message parts = {};
  char *error = guarded([&] {
    Message message;
    if (!message.ParseFromArray(encoded.data, static_cast<int>(encoded.size))) {
      throw std::runtime_error("the bytes are not a message");
    }
    parts.kind = kind_of(message);
    parts.from = bytes(message.from());
    parts.key = bytes(message.put().key());
    parts.value = bytes(message.put().value());
    parts.error = bytes(message.done().error());
  });
  if (error != nullptr) {
    wire_message_free(&parts);
    return error;
  }
  *out = parts;
  return nullptr;
}

void wire_message_free(wire_message *message) {
  for (wire_bytes *field : {&message->from, &message->key, &message->value, &message->error}) {
    std::free(field->data);
    *field = {};
  }
}
