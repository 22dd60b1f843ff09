// Command net-and-user asks the two packages of Go's library that use C where they can: it looks a
// host name up and it asks who runs it. Either import alone makes `go build` link dynamically.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"strings"
	"time"
)

// patience bounds the look-up, so that a machine without a name server answers too.
const patience = 2 * time.Second

func main() {
	fmt.Println("localhost:", lookUp("localhost"))
	fmt.Println("user:", whoami())
}

// lookUp names the addresses of host, or why there are none: in an empty root no /etc/hosts says.
func lookUp(host string) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return fmt.Sprintf("not found (%v)", err)
	}
	return strings.Join(addresses, " ")
}

// whoami names the current user, or only the number that the kernel knows: in an empty root no
// /etc/passwd says more.
func whoami() string {
	current, err := user.Current()
	if err != nil {
		return fmt.Sprintf("uid %d (%v)", os.Getuid(), err)
	}
	return fmt.Sprintf("uid %s, %s", current.Uid, current.Username)
}
