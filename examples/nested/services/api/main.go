// Command api serves greetings over HTTP, or answers once with -once.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"

	"example.com/nested/libs/greeting"
)

// version is set by the linker (`x_defs` in BUILD.ron).
var version = "unknown"

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "where to serve")
	once := flag.String("once", "", "greet this `name` and end")
	flag.Parse()
	if *once != "" {
		fmt.Println(greeting.For(*once), "(api", version+")")
		return
	}
	http.HandleFunc("GET /{name}", func(answer http.ResponseWriter, request *http.Request) {
		fmt.Fprintln(answer, greeting.For(request.PathValue("name")))
	})
	log.Fatal(http.ListenAndServe(*listen, nil))
}
