// Package store keeps keys and values on disk, in RocksDB.
package store

// #cgo CXXFLAGS: -std=c++17
// #cgo LDFLAGS: -lrocksdb -lsnappy -lz -lbz2 -llz4 -lzstd -lstdc++ -lm -ldl -lpthread
// #include <stdlib.h>
// #include "store.h"
import "C"

import (
	"errors"
	"unsafe"
)

// Store is an open database. Its methods may be called by many goroutines at once, but Close only
// once, and last.
type Store struct {
	handle *C.store
}

// Open opens the database in folder, and makes an empty one if there is none.
func Open(folder string) (*Store, error) {
	name := C.CString(folder)
	defer C.free(unsafe.Pointer(name))
	var handle *C.store
	if failure := C.store_open(name, &handle); failure != nil {
		return nil, taken(failure)
	}
	return &Store{handle}, nil
}

// Put stores value under key; it is on disk when Put returns.
func (s *Store) Put(key, value []byte) error {
	return taken(C.store_put(s.handle, view(key), view(value)))
}

// Get returns the value under key, and whether there is one.
func (s *Store) Get(key []byte) (value []byte, found bool, err error) {
	var out C.store_bytes
	if failure := C.store_get(s.handle, view(key), &out); failure != nil {
		return nil, false, taken(failure)
	}
	if out.data == nil {
		return nil, false, nil
	}
	defer C.free(unsafe.Pointer(out.data))
	return C.GoBytes(unsafe.Pointer(out.data), C.int(out.size)), true, nil
}

// Close closes the database. The store cannot be used afterwards.
func (s *Store) Close() error {
	return taken(C.store_close(s.handle))
}

// view lends bytes to C for the length of one call.
func view(bytes []byte) C.store_view {
	data := unsafe.SliceData(bytes)
	return C.store_view{data: (*C.char)(unsafe.Pointer(data)), size: C.size_t(len(bytes))}
}

// taken turns a message from C into an error and frees it; NULL is no error.
func taken(failure *C.char) error {
	if failure == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(failure))
	return errors.New("store: " + C.GoString(failure))
}
