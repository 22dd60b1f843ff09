// Rows keeps numbers in an SQLite database in memory and prints their sum.
package main

import (
	"database/sql"
	"fmt"
	"log"

	_ "github.com/mattn/go-sqlite3"
)

func main() {
	log.SetFlags(0)
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	// Each connection would have a memory of its own.
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("create table numbers (value integer)"); err != nil {
		log.Fatal(err)
	}
	for value := range 10 {
		if _, err := db.Exec("insert into numbers values (?)", value); err != nil {
			log.Fatal(err)
		}
	}
	var sum int
	if err := db.QueryRow("select sum(value) from numbers").Scan(&sum); err != nil {
		log.Fatal(err)
	}
	fmt.Println("sum:", sum)
}
