#include "store.h"

#include <rocksdb/db.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

struct store {
  std::unique_ptr<rocksdb::DB> database;
};

namespace {

rocksdb::Slice slice(store_view view) { return rocksdb::Slice(view.data, view.size); }

void expect(const rocksdb::Status &status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
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

rocksdb::Options options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kSnappyCompression;
  options.bottommost_compression = rocksdb::kZSTD;
  options.keep_log_file_num = 1;
  return options;
}

}  // namespace

char *store_open(const char *folder, store **out) {
  return guarded([&] {
    rocksdb::DB *database = nullptr;
    expect(rocksdb::DB::Open(options(), folder, &database));
    std::unique_ptr<rocksdb::DB> owned(database);
    *out = new store{std::move(owned)};
  });
}

char *store_put(store *store, store_view key, store_view value) {
  return guarded([&] {
    rocksdb::WriteOptions durable;
    durable.sync = true;
    expect(store->database->Put(durable, slice(key), slice(value)));
  });
}

char *store_get(store *store, store_view key, store_bytes *out) {
  return guarded([&] {
    std::string value;
    const auto status = store->database->Get(rocksdb::ReadOptions(), slice(key), &value);
    if (status.IsNotFound()) {
      *out = {nullptr, 0};
      return;
    }
    expect(status);
    auto *data = static_cast<char *>(std::malloc(value.size() + 1));
    if (data == nullptr) throw std::bad_alloc();
    std::memcpy(data, value.c_str(), value.size() + 1);
    *out = {data, value.size()};
  });
}

char *store_close(store *store) {
  const std::unique_ptr<struct store> owned(store);
  return guarded([&] { expect(owned->database->Close()); });
}
