// Package status shows over HTTP who is alive.
package status

import (
	"fmt"
	"net/http"

	"example.com/gossip-tests/member"
)

// Handler answers with one name a line.
func Handler(list *member.List) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		for _, name := range list.Alive() {
			fmt.Fprintln(answer, name)
		}
	})
}
