// Nearest prints which of the words that it knows is nearest to one that it is given.
package main

/*
#include <distance.h>
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

const table = `
create table words (word text);
insert into words values ('compiler'), ('linker'), ('linkwright'), ('loader'), ('playwright');`

const question = `select word from words order by distance(word, ?), word limit 1`

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: nearest WORD")
		os.Exit(2)
	}
	word, err := nearest(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(word)
}

func nearest(word string) (string, error) {
	var db *C.sqlite3
	memory, create, ask, given := C.CString(":memory:"), C.CString(table), C.CString(question), C.CString(word)
	for _, it := range []*C.char{memory, create, ask, given} {
		defer C.free(unsafe.Pointer(it))
	}
	if C.sqlite3_open(memory, &db) != C.SQLITE_OK {
		return "", fmt.Errorf("cannot open a database")
	}
	defer C.sqlite3_close(db)
	failed := func() error { return fmt.Errorf("%s", C.GoString(C.sqlite3_errmsg(db))) }
	if C.distance_register(db) != C.SQLITE_OK || C.sqlite3_exec(db, create, nil, nil, nil) != C.SQLITE_OK {
		return "", failed()
	}
	var statement *C.sqlite3_stmt
	if C.sqlite3_prepare_v2(db, ask, -1, &statement, nil) != C.SQLITE_OK {
		return "", failed()
	}
	defer C.sqlite3_finalize(statement)
	if C.sqlite3_bind_text(statement, 1, given, -1, nil) != C.SQLITE_OK || C.sqlite3_step(statement) != C.SQLITE_ROW {
		return "", failed()
	}
	return C.GoString((*C.char)(unsafe.Pointer(C.sqlite3_column_text(statement, 0)))), nil
}
